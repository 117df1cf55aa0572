import { DamagedFile } from './damaged-file.js';
import { bytesOf, type Dtype, type Heading } from './header.js';
import type { Stored } from './safetensors.js';
import { bytesFrom, dtypeOf, type Values, valuesOf } from './values.js';

/** What an npy file says before its numbers. */
export interface NpyHeader extends Omit<Heading, 'name'> {
  /** Whether the first axis, not the last, is the one along which neighbours lie. */
  readonly fortran: boolean;
  /** Where the numbers begin. */
  readonly dataStart: number;
  readonly bytes: number;
}

const kinds: Readonly<Record<string, Dtype>> = {
  ...{ f8: 'F64', f4: 'F32', f2: 'F16', b1: 'BOOL', i8: 'I64', i4: 'I32', i2: 'I16', i1: 'I8' },
  ...{ u8: 'U64', u4: 'U32', u2: 'U16', u1: 'U8' },
};
const MAGIC = [0x93, ...new TextEncoder().encode('NUMPY')];
/** Bytes before the header's text, by the format's version. */
const PREFIX = 12;
/** numpy writes some 118 bytes, and refuses to read 10,000 itself. */
const LONGEST = 10_000;

/** How many bytes of a file hold its header, at most. */
export const NPY_HEADER = PREFIX + LONGEST;

/**
 * The header of a file of `numpy.save` (numpy's NEP 1), checked in full. It is a Python literal; it is matched, never run.
 * @param bytes the file's beginning, all of the header included.
 * @throws DamagedFile that names `file`; on objects, which only unpickling could read; on text, complex or big-endian numbers.
 */
export function parseNpy(bytes: Uint8Array, fileLength: number, file: string): NpyHeader {
  const fail = (what: string): never => {
    throw new DamagedFile(`${file} is no numpy array that can be read: ${what.slice(0, 500)}.`);
  };
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) fail('it does not begin as an npy file does');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = (bytes[6] ?? 0) > 1;
  if (!(bytes[6] && bytes[6] <= 3) || bytes.length < PREFIX) fail(`version ${bytes[6]} of the format is not known`);
  const start = long ? PREFIX : PREFIX - 2;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  if (length > LONGEST || start + length > Math.min(bytes.length, fileLength))
    fail(`its header claims ${length} bytes; it is cut off or damaged`);
  const text = new TextDecoder('latin1').decode(bytes.subarray(start, start + length));
  const { descr, fortran, shape } = fieldsOf(text) ?? fail(`its header is ${JSON.stringify(text.slice(0, 200))}`);
  const dtype = kinds[descr.slice(1)];
  if (/^.?O/.test(descr)) fail('it holds Python objects, which could run code; save numbers instead');
  if (!dtype || descr.startsWith('>'))
    fail(`its numbers are "${descr}"; little-endian floats, integers and bool are read`);
  const known = dtype as Dtype;
  const count = shape.reduce((product, size) => product * size, 1);
  const size = bytesOf[known] * count;
  if (!Number.isSafeInteger(size) || size !== fileLength - start - length)
    fail(`[${shape.join(', ')}] of ${descr} takes ${size} bytes, but ${fileLength - start - length} follow the header`);
  return { dtype: known, shape, fortran, dataStart: start + length, bytes: size };
}

/** `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`: in this order, as the format's writers sort its keys. */
const HEADER =
  /^\{\s*'descr':\s*'([^'\\]{1,20})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(((?:\d{1,15}(?:,\s*|(?=\)))){0,64})\)\s*,?\s*\}\s*$/;

function fieldsOf(text: string): { descr: string; fortran: boolean; shape: number[] } | undefined {
  const [, descr, order, sizes] = HEADER.exec(text) ?? [];
  if (descr === undefined || sizes === undefined) return undefined;
  return { descr, fortran: order === 'True', shape: [...sizes.matchAll(/\d+/g)].map(([digits]) => Number(digits)) };
}

/**
 * The array in a file of `numpy.save`: floats, integers or bool, little-endian. F16 comes as a `Float32Array`, 64-bit integers
 * as bigints; an array in Fortran's order is turned to row-major.
 * @throws DamagedFile as `parseNpy` does.
 */
export function decodeNpy(bytes: Uint8Array, file = 'the file'): Required<Stored> {
  const { dtype, shape, fortran, dataStart } = parseNpy(bytes, bytes.length, file);
  // A copy: values may lie anywhere in `bytes`, and typed arrays want them aligned.
  const data = valuesOf(dtype, new Uint8Array(bytes.slice(dataStart)));
  return { dtype, shape, data: fortran ? rowMajor(data, shape) : data };
}

/** Fortran's order is row-major for the reversed shape. */
export function rowMajor(data: Values, shape: readonly number[]): Values {
  if (shape.filter((size) => size !== 1).length < 2) return data;
  const turned = data.slice();
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, 1));
  const index = shape.map(() => 0);
  for (let i = 0, from = 0; i < data.length; i++) {
    turned[i] = data[from] as number & bigint;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      from += strides[axis] as number;
      if (index[axis] !== shape[axis]) break;
      from -= (strides[axis] as number) * (shape[axis] as number);
      index[axis] = 0;
    }
  }
  return turned;
}

/** The bytes of an npy file, as numpy writes them. */
export function encodeNpy({ shape, data, dtype = dtypeOf(data) }: Stored): Uint8Array {
  const kind = Object.entries(kinds).find(([, known]) => known === dtype)?.[0];
  if (!kind) throw new RangeError(`numpy has no ${dtype}; write F32.`);
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length)
    throw new RangeError(`the array has ${data.length} values; its shape [${shape.join(', ')}] needs ${count}.`);
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const order = kind.endsWith('1') ? '|' : '<';
  const text = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // The numbers begin at a multiple of 64.
  const start = Math.ceil((PREFIX - 2 + text.length + 1) / 64) * 64;
  const values = bytesFrom(dtype, data);
  const bytes = new Uint8Array(start + values.length).fill(0x20, 0, start);
  bytes.set([...MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, start - PREFIX + 2, true);
  bytes.set(new TextEncoder().encode(text), PREFIX - 2);
  bytes[start - 1] = 0x0a;
  bytes.set(values, start);
  return bytes;
}
