/** Text under text keys. */
export type Metadata = Readonly<Record<string, string>>;

/** The format's types, by their codes in a file. */
export type Dtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

/** Bytes of a value of each type. */
export const bytesOf: Readonly<Record<Dtype, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1 },
};

export interface Heading {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor of a file; its values are the bytes [start, end) of the data. */
export interface Entry extends Heading {
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly entries: readonly Entry[];
  readonly metadata: Metadata;
  /** Where in the file the data begins. */
  readonly dataStart: number;
}

/** The format's own bound on a header; what claims more is no such file. */
const LONGEST = 100_000_000;

/** The first bytes of a file of these tensors, up to the data, and the length of the data. */
export function frame(headings: readonly Heading[], metadata: Metadata): { header: Uint8Array; length: number } {
  let length = 0;
  const fields: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw new RangeError(`metadata "${key}" is a ${typeof value}; it must be text.`);
  for (const { name, dtype, shape } of headings) {
    if (name === '__metadata__') throw new RangeError('a tensor may not be named "__metadata__".');
    const end = length + bytesOf[dtype] * shape.reduce((product, size) => product * size, 1);
    fields.push([name, { dtype, shape, data_offsets: [length, end] }]);
    length = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
  const size = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + size).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(size), true);
  header.set(json, 8);
  return { header, length };
}

/** Where the data begins, from a file's first eight bytes and its length. */
export function dataStartOf(first: Uint8Array, fileLength: number, file: string): number {
  if (first.length < 8) throw new RangeError(`${file} has ${first.length} bytes; a safetensors file has at least 8.`);
  const size = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (size > BigInt(LONGEST) || 8 + Number(size) > fileLength)
    throw new RangeError(
      `${file} says its header takes ${size} bytes, but it has ${fileLength} bytes in all; it is cut off or no safetensors file.`,
    );
  return 8 + Number(size);
}

/**
 * The header of a safetensors file, checked in full: length, JSON, names that occur once, known dtypes, shapes that fit
 * their bytes, and bytes that cover the data without a gap or an overlap.
 * @param bytes the file's beginning, all of the header included.
 * @throws RangeError that names `file` and what is wrong.
 */
export function parseHeader(bytes: Uint8Array, fileLength: number, file: string): Header {
  const dataStart = dataStartOf(bytes, fileLength, file);
  const fail = (what: string): never => {
    throw new RangeError(`${file} is not a valid safetensors file: ${what}.`);
  };
  let text = '';
  let fields: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, dataStart));
    fields = JSON.parse(text);
  } catch (error) {
    fail(`its header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(fields)) return fail('its header is not a JSON object');
  const twice = repeatedKey(text);
  if (twice !== undefined) fail(`its header names "${twice}" twice`);

  const { __metadata__: metadata = {}, ...rest } = fields;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string'))
    fail('its __metadata__ is not a map from text to text');
  const entries = Object.entries(rest).map(([name, field]) => {
    try {
      return entryOf(name, field);
    } catch (error) {
      return fail((error as Error).message);
    }
  });
  let at = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at)
      fail(`"${name}" begins at byte ${start} of the data, where ${at} is expected (a gap or an overlap)`);
    at = end;
  }
  if (at !== fileLength - dataStart)
    fail(`its tensors take ${at} bytes, but the data has ${fileLength - dataStart}; it is cut off or has too much`);
  return { entries, metadata: metadata as Metadata, dataStart };
}

function entryOf(name: string, field: unknown): Entry {
  if (!isRecord(field)) throw new RangeError(`"${name}" is not an object`);
  const { dtype: code, shape, data_offsets: offsets } = field;
  if (typeof code !== 'string' || !Object.hasOwn(bytesOf, code))
    throw new RangeError(`"${name}" has dtype ${JSON.stringify(code)}; ${Object.keys(bytesOf).join(', ')} can be read`);
  const dtype = code as Dtype;
  if (!isSizes(shape)) throw new RangeError(`"${name}" has shape ${JSON.stringify(shape)}; it must be integers ≥ 0`);
  if (!isSizes(offsets) || offsets.length !== 2)
    throw new RangeError(`"${name}" has data_offsets ${JSON.stringify(offsets)}; they must be two integers ≥ 0`);
  const [start, end] = offsets as [number, number];
  const bytes = bytesOf[dtype] * shape.reduce((product, size) => product * size, 1);
  if (end - start !== bytes)
    throw new RangeError(`"${name}" of shape [${shape.join(', ')}] needs ${bytes} bytes, but has ${end - start}`);
  return { name, dtype, shape, start, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** A key that an object in this (valid) JSON has twice: `JSON.parse` would keep the last in silence. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token === ':') {
      const key: string = JSON.parse(last);
      const keys = open[open.length - 1];
      if (keys?.has(key)) return key;
      keys?.add(key);
    } else last = token;
  }
  return undefined;
}
