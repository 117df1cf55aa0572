// Random cases against what reads files and against native operations. The cases run in processes of their own: one that
// crashes or hangs is reported, and the next goes on after it.
//   files       a valid file of each reader, spoilt: the same values come back, or an error that names the file
//   operations  any ranks, sizes, types and attributes: what the composed form gives, or a refusal by name
//   pnpm fuzz [--of files|operations] [--minutes M] [--seed S] [--first N] [--cases N]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkAbove, checkInteger } from '@logsnr/core';

export interface Fuzz {
  seed: number;
  /** How many cases, and the number of the first. */
  cases?: number;
  first?: number;
  /** No case begins after this time, as `Date.now()` tells it. */
  until?: number;
  /** A file to take the operations from, in place of the one beside the binding. */
  operations?: string;
  /** Further environment variables of the processes. */
  env?: Record<string, string>;
}

export interface FuzzReport {
  /** Cases that ended with a right result, and with a right refusal. */
  results: number;
  refusals: number;
  /** What went wrong: the command that repeats it, the case, and what came of it. */
  failures: string[];
}

/** What is tried. Each has a worker of its name beside this file. */
const subjects = ['files', 'operations'] as const;
type Subject = (typeof subjects)[number];

const root = fileURLToPath(new URL('..', import.meta.url));
/** A process that says nothing for this long hangs, in ms. Its start counts too. */
const patience = 60_000;

/** Runs cases `first`, `first` + 1, … of a seed until there are `cases` of them or the time is over. */
export async function fuzz(of: Subject, options: Fuzz): Promise<FuzzReport> {
  const { seed, first = 0, cases = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY } = options;
  const report: FuzzReport = { results: 0, refusals: 0, failures: [] };
  let next = first;
  while (next < first + cases && Date.now() < until && report.failures.length < 20) {
    const range = [seed, next, first + cases, until].map(String);
    const { last = -1, crash } = await runCases(of, range, options, report);
    if (last < 0 && crash) throw new Error(`no case could be run: ${crash}`);
    if (!crash) break;
    next = last + 1;
  }
  return report;
}

/** One process. Returns the number of the last case that it began, and what ended it, if not the end of its cases. */
async function runCases(of: Subject, range: string[], { seed, operations, env }: Fuzz, report: FuzzReport) {
  const args = ['--import', 'tsx', `${root}/scripts/fuzz-${of}-worker.ts`, ...range];
  const child = spawn(process.execPath, operations ? [...args, operations] : args, {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [errors, last, given]: [string, number | undefined, string] = ['', undefined, ''];
  const fail = (what: string) =>
    report.failures.push(`pnpm fuzz --of ${of} --seed ${seed} --first ${last} --cases 1\n  ${given}\n  ${what}`);
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-8000);
  });
  createInterface(child.stdout).on('line', (line) => {
    timer.refresh();
    const begun = /^case (\d+) (.*)$/.exec(line);
    if (begun) [last, given] = [Number(begun[1]), begun[2] as string];
    else if (line === 'result') report.results++;
    else if (line === 'refused') report.refusals++;
    else fail(line);
  });
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  const crash = code === 0 ? undefined : `the process ended with ${signal ?? code}: ${errors.trim()}`;
  if (crash && last !== undefined) fail(crash);
  return { last, crash };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = Object.fromEntries(
    ['of', 'minutes', 'cases', 'first', 'seed'].map((name) => [name, { type: 'string' }] as const),
  );
  const { values } = parseArgs({ args: process.argv.slice(2).filter((arg) => arg !== '--'), options });
  const of = subjects.filter((subject) => (values.of ?? subject) === subject);
  if (of.length === 0) throw new RangeError(`--of is ${values.of}; it must be one of ${subjects.join(', ')}.`);
  const [seed, first] = [Number(values.seed ?? 0), Number(values.first ?? 0)];
  const cases = Number(values.cases ?? Number.MAX_SAFE_INTEGER - first);
  const minutes = Number(values.minutes ?? (values.cases ? 60 : 1));
  checkInteger('--seed', seed);
  checkInteger('--first', first);
  checkInteger('--cases', cases, 1);
  checkAbove('--minutes', minutes);
  const until = Date.now() + 60_000 * minutes;
  await Promise.all(
    of.map(async (subject) => {
      const { results, refusals, failures } = await fuzz(subject, { seed, first, cases, until });
      const counts = `${results} right results, ${refusals} right refusals, ${failures.length} failures`;
      console.log([`${subject}, seed ${seed}: ${counts}`, ...failures].join('\n'));
      if (failures.length > 0) process.exitCode = 1;
    }),
  );
}
