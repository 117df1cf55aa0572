import * as v from 'valibot';
import { DamagedFile } from './damaged-file.js';
import { faultOf } from './fault.js';
import { repeatedKey } from './repeated-key.js';

/** Text under text keys. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * The format's types, by their codes in a file. Those of less than a byte (F4, F6_E2M3, F6_E3M2) are refused: the format
 * does not say how they are packed.
 */
export type Dtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'F8_E8M0'
  | 'F8_E4M3FNUZ'
  | 'F8_E5M2FNUZ'
  | 'C64'
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
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, C64: 8 },
  ...{ F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1, F8_E4M3FNUZ: 1, F8_E5M2FNUZ: 1 },
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
  /** The SHA-256 of this, which goes over the header with zeros for its digits, and of the data; where the file has one. */
  readonly checksum: { readonly sha256: string; readonly header: Uint8Array } | undefined;
}

/** The format's own bound on a header; what claims more is no such file. */
const LONGEST = 100_000_000;

const NOTES = '__metadata__';
/** The metadata's key of the checksum: the SHA-256 of the whole file with zeros for these 64 digits. */
const CHECKSUM = 'logsnr.sha256';
/** How a header with a checksum begins. */
const SEAL = `{"${NOTES}":{"${CHECKSUM}":"`;
const DIGITS = 64;

const sizes = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const codes = Object.keys(bytesOf) as Dtype[];
const fieldSchema = v.object({
  dtype: v.picklist(codes, ({ received }) => `received ${received}, expected ${codes.join(', ')}`),
  // More axes than any library has.
  shape: v.pipe(v.array(sizes), v.maxLength(64)),
  data_offsets: v.strictTuple([sizes, sizes]),
});
const metadataSchema = v.array(v.tuple([v.string(), v.string()]));

/**
 * The first bytes of a file of these tensors, up to the data, with zeros for the digits of the checksum; and the length
 * of the data.
 * @throws RangeError on whatever `parseHeader` would refuse.
 */
export function frame(headings: readonly Heading[], metadata: Metadata): { header: Uint8Array; length: number } {
  if (Object.hasOwn(metadata, CHECKSUM)) throw new RangeError(`the metadata key "${CHECKSUM}" is the format's own.`);
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw new RangeError(`metadata "${key}" is a ${typeof value}; it must be text.`);
  let length = 0;
  const fields = headings.map(({ name, dtype, shape }) => {
    const start = length;
    length += byteLength(dtype, shape);
    return `,${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, length] })}`;
  });
  const notes = Object.entries(metadata).map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`${SEAL}${'0'.repeat(DIGITS)}"${notes.join('')}}${fields.join('')}}`);
  const size = Math.ceil(json.length / 8) * 8;
  if (size > LONGEST)
    throw new RangeError(`the names and the metadata take ${size} bytes; a header has at most ${LONGEST}.`);
  const header = new Uint8Array(8 + size).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(size), true);
  header.set(json, 8);
  parseHeader(header, header.length + length, 'what is to be written');
  return { header, length };
}

/** A header of `frame` with the checksum's digits in their place. */
export function sealed(header: Uint8Array, sha256: string): Uint8Array {
  const whole = header.slice();
  whole.set(new TextEncoder().encode(sha256), 8 + SEAL.length);
  return whole;
}

/** Where the data begins, from a file's first eight bytes and its length. */
export function dataStartOf(first: Uint8Array, fileLength: number, file: string): number {
  if (first.length < 8) throw new DamagedFile(`${file} has ${first.length} bytes; a safetensors file has at least 8.`);
  const size = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (size > BigInt(LONGEST) || 8 + Number(size) > fileLength)
    throw new DamagedFile(
      `${file} says its header takes ${size} bytes, but it has ${fileLength} bytes in all; it is cut off or no safetensors file.`,
    );
  return 8 + Number(size);
}

/**
 * The header of a safetensors file, checked in full: length, JSON, names that occur once, known dtypes, shapes that fit
 * their bytes, and bytes that cover the data without a gap or an overlap.
 * @param bytes the file's beginning, all of the header included.
 * @throws DamagedFile that names `file` and what is wrong.
 */
export function parseHeader(bytes: Uint8Array, fileLength: number, file: string): Header {
  const dataStart = dataStartOf(bytes, fileLength, file);
  const fail = (what: string): never => {
    throw new DamagedFile(`${file} is not a valid safetensors file: ${what.slice(0, 500)}.`);
  };
  let text = '';
  let fields: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart));
    fields = JSON.parse(text);
  } catch (error) {
    fail(`its header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(fields)) return fail('its header is not a JSON object');
  const twice = repeatedKey(text);
  if (twice !== undefined) fail(`its header names "${twice}" twice`);

  const notes = Object.hasOwn(fields, NOTES) ? fields[NOTES] : {};
  const pairs = isRecord(notes) ? v.safeParse(metadataSchema, Object.entries(notes)) : undefined;
  if (!pairs?.success) return fail('its __metadata__ is not a map from text to text');
  const { [CHECKSUM]: sha256, ...metadata } = Object.fromEntries(pairs.output);
  if (sha256 !== undefined && !(text.startsWith(SEAL) && /^[0-9a-f]{64}$/.test(sha256)))
    fail(`its checksum is not where it belongs. ${RESAVED}`);
  const named = Object.entries(fields).filter(([name]) => name !== NOTES);
  const entries = named.map(([name, field]) => entryOf(name, field, fail));
  let at = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at)
      fail(`"${name}" begins at byte ${start} of the data, where ${at} is expected (a gap or an overlap)`);
    at = end;
  }
  if (at !== fileLength - dataStart)
    fail(`its tensors take ${at} bytes, but the data has ${fileLength - dataStart}; it is cut off or has too much`);
  const header = () => sealed(bytes.subarray(0, dataStart), '0'.repeat(DIGITS));
  return { entries, metadata, dataStart, checksum: sha256 === undefined ? undefined : { sha256, header: header() } };
}

const RESAVED = `Another tool that saves such a file anew must leave out "${CHECKSUM}"`;

/** Throws where a file with a checksum has other contents. `found` is the SHA-256 of the checksum's header and the data. */
export function assertChecksum({ checksum }: Header, found: string, file: string): void {
  if (checksum && checksum.sha256 !== found)
    throw new DamagedFile(`${file} was changed since it was written: its checksum does not fit. ${RESAVED}.`);
}

function entryOf(name: string, field: unknown, fail: (what: string) => never): Entry {
  if (!isRecord(field)) return fail(`"${name}" is not an object`);
  const { success, output, issues } = v.safeParse(fieldSchema, field, { abortEarly: true });
  if (!success) return fail(`"${name}" has ${faultOf(issues)}`);
  const {
    dtype,
    shape,
    data_offsets: [start, end],
  } = output;
  const bytes = byteLength(dtype, shape);
  if (end - start !== bytes)
    fail(`"${name}" of shape [${shape.join(', ')}] needs ${bytes} bytes, but has ${end - start}`);
  return { name, dtype, shape, start, end };
}

const byteLength = (dtype: Dtype, shape: readonly number[]): number =>
  bytesOf[dtype] * shape.reduce((product, size) => product * size, 1);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
