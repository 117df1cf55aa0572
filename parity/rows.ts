export const schedulers = ['DDIM', 'DDPM', 'Euler', 'EulerAncestral', 'Heun', 'DPMSolver++2M', 'UniPC'] as const;
export type Scheduler = (typeof schedulers)[number];

/** One reference loop of HF diffusers' test suite; docs/parity.md says what each field means. */
export interface Row {
  name: string;
  scheduler: Scheduler;
  trainSteps: number;
  steps: number;
  betaStart: number;
  betaEnd: number;
  prediction: 'epsilon' | 'v';
  spacing: 'default' | 'karras' | 'lu';
  setAlphaToOne: boolean;
  thresholding: null | { ratio: number; maxValue: number };
  startIndex: null | number;
  noiseSeed: null | number;
}

/** What a value must be, in words, and whether it is. */
type Check = readonly [accepted: string, (value: unknown) => boolean];

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const integer = (least: number): Check => [
  `an integer of at least ${least}`,
  (value) => Number.isSafeInteger(value) && (value as number) >= least,
];
const oneOf = (names: readonly string[]): Check => [
  names.map((name) => `"${name}"`).join(', '),
  (value) => names.includes(value as string),
];
const orNull = ([accepted, is]: Check): Check => [`null or ${accepted}`, (value) => value === null || is(value)];
const beta: Check = ['a number above 0 and below 1', (value) => isNumber(value) && value > 0 && value < 1];

const checks: Record<keyof Row, Check> = {
  name: ['a string', (value) => typeof value === 'string'],
  scheduler: oneOf(schedulers),
  trainSteps: integer(2),
  steps: integer(1),
  betaStart: beta,
  betaEnd: beta,
  prediction: oneOf(['epsilon', 'v']),
  spacing: oneOf(['default', 'karras', 'lu']),
  setAlphaToOne: ['true or false', (value) => typeof value === 'boolean'],
  thresholding: orNull([
    '{ ratio: a number in [0, 1], maxValue: a number above 0 }',
    (value) =>
      isRecord(value) &&
      isNumber(value.ratio) &&
      value.ratio >= 0 &&
      value.ratio <= 1 &&
      isNumber(value.maxValue) &&
      value.maxValue > 0,
  ]),
  startIndex: orNull(integer(0)),
  noiseSeed: orNull(integer(0)),
};

/** The fields that may be null may also be left out. */
const absent = { thresholding: null, startIndex: null, noiseSeed: null };

/** Checks that hold between fields: the field, what is wrong with it, and when. */
const rules: readonly [keyof Row, (row: Row) => string | false][] = [
  [
    'steps',
    (row) => {
      // A grid of these two leaves the time 0 out.
      const most = row.scheduler === 'DPMSolver++2M' || row.scheduler === 'UniPC' ? row.trainSteps - 1 : row.trainSteps;
      return row.steps > most && `trainSteps is ${row.trainSteps}, so it must be at most ${most}`;
    },
  ],
  [
    'startIndex',
    ({ startIndex, steps }) =>
      startIndex !== null && startIndex >= steps && `it must be below steps, ${steps}: it is an index of the grid`,
  ],
  [
    'spacing',
    ({ scheduler, spacing }) =>
      (scheduler === 'DDIM' || scheduler === 'DDPM') && spacing !== 'default' && `${scheduler} has only "default"`,
  ],
  [
    'noiseSeed',
    ({ scheduler, noiseSeed }) =>
      (scheduler === 'DDPM' || scheduler === 'EulerAncestral') &&
      noiseSeed === null &&
      `${scheduler} draws noise, so it must be an integer`,
  ],
];

/**
 * The rows of a file: a JSON array, or one row.
 * @throws TypeError that names the row, the field, what it is and what is accepted.
 */
export function parseRows(text: string): Row[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TypeError(`the file is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(parsed)) throw new TypeError(`the file holds ${kind(parsed)}; it must hold an array of rows.`);
  return parsed.map(checkRow);
}

function checkRow(value: unknown, i: number): Row {
  if (!isRecord(value)) throw new TypeError(`row ${i} is ${kind(value)}; a row is an object.`);
  const where = `row ${i}${typeof value.name === 'string' ? ` ("${value.name}")` : ''}`;
  for (const [field, [accepted, is]] of Object.entries(checks)) {
    if (!(field in value) && !is(null)) throw new TypeError(`${where}: ${field} is missing; it must be ${accepted}.`);
    if (!is(value[field] ?? null))
      throw new TypeError(`${where}: ${field} is ${JSON.stringify(value[field])}; it must be ${accepted}.`);
  }
  const row = { ...absent, ...value } as Row;
  for (const [field, rule] of rules) {
    const wrong = rule(row);
    if (wrong) throw new TypeError(`${where}: ${field} is ${JSON.stringify(row[field])}; ${wrong}.`);
  }
  return row;
}

const kind = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : `a${typeof value === 'object' ? 'n' : ''} ${typeof value}`;
