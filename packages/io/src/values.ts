import type { Dtype } from './header.js';

/**
 * The values of each type. F16, BF16 and F8 are float32 numbers, as they all are; BOOL is 0 and 1. C64 is a `Float32Array`
 * of twice as many numbers: real part, imaginary part, real part …
 */
export type Values =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | BigUint64Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

const arrays = {
  ...{ F64: Float64Array, F32: Float32Array, I64: BigInt64Array, I32: Int32Array, I16: Int16Array, I8: Int8Array },
  ...{ U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array, C64: Float32Array },
} as const;

type Plain = keyof typeof arrays;
type Bytes = Uint8Array<ArrayBuffer>;

/** The types that become float32 numbers. */
const shorter: Readonly<Record<Exclude<Dtype, Plain>, (bytes: Bytes) => Float32Array>> = {
  F16: tableOf(16, halfToFloat),
  BF16({ buffer, byteOffset, byteLength }) {
    const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    const words = new Uint32Array(halves.length);
    for (let i = 0; i < halves.length; i++) words[i] = (halves[i] as number) << 16;
    return new Float32Array(words.buffer);
  },
  // NVIDIA, Arm and Intel's FP8 (arXiv 2209.05433): E4M3 has no infinity and one NaN, E5M2 is as IEEE 754's numbers are.
  F8_E4M3: tableOf(8, (bits) => ((bits & 0x7f) === 0x7f ? Number.NaN : smallFloat(bits, 4, 3, 7))),
  F8_E5M2: tableOf(8, (bits) => halfToFloat(bits << 8)),
  // Graphcore and AMD's (arXiv 2206.02915): one more in the bias, and −0 is the NaN.
  F8_E4M3FNUZ: tableOf(8, (bits) => (bits === 0x80 ? Number.NaN : smallFloat(bits, 4, 3, 8))),
  F8_E5M2FNUZ: tableOf(8, (bits) => (bits === 0x80 ? Number.NaN : smallFloat(bits, 5, 2, 16))),
  // Scales of the Open Compute Project's microscaling formats: powers of two.
  F8_E8M0: tableOf(8, (bits) => (bits === 0xff ? Number.NaN : 2 ** (bits - 127))),
};

const isPlain = (dtype: Dtype): dtype is Plain => Object.hasOwn(arrays, dtype);

/** How many values a number of the type takes in its array. */
export const partsOf = (dtype: Dtype): number => (dtype === 'C64' ? 2 : 1);

/** The values in `bytes`, which must be aligned: without a copy, on the little-endian machines that JavaScript runs on. */
export function valuesOf(dtype: Dtype, bytes: Bytes): Values {
  if (!isPlain(dtype)) return shorter[dtype](bytes);
  const array = arrays[dtype];
  return new array(bytes.buffer, bytes.byteOffset, bytes.byteLength / array.BYTES_PER_ELEMENT);
}

/**
 * The bytes of values as `dtype`. F16 and BF16 are rounded to the nearest, halves to even.
 * @throws RangeError where the array is of another type, and for F8, which is only read.
 */
export function bytesFrom(dtype: Dtype, values: Values): Uint8Array {
  if (dtype === 'F16') return bytes(Uint16Array.from(values as Float32Array, floatToHalf));
  if (dtype === 'BF16') return bytes(Uint16Array.from(values as Float32Array, floatToBrain));
  if (!isPlain(dtype)) throw new RangeError(`${dtype} is read, not written; write F16, BF16 or F32.`);
  const array = arrays[dtype];
  if (!(values instanceof array))
    throw new RangeError(`values of ${dtype} are a ${array.name}, not a ${values.constructor.name}.`);
  return bytes(values);
}

/** The type in which values are written unless another is given. */
export const dtypeOf = (values: Values): Dtype =>
  (Object.entries(arrays).find(([, array]) => values instanceof array) as [Dtype, unknown])[0];

const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 mantissa bits. */
function halfToFloat(half: number): number {
  if ((half & 0x7c00) !== 0x7c00) return smallFloat(half, 5, 10, 15);
  if (half & 0x3ff) return Number.NaN;
  return half & 0x8000 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** 1 sign bit, then those of the exponent, then those of the mantissa: ±1.m · 2^(e − bias), or ±0.m · 2^(1 − bias) where e is 0. */
function smallFloat(bits: number, exponents: number, mantissas: number, bias: number): number {
  const sign = (bits >> (exponents + mantissas)) & 1 ? -1 : 1;
  const exponent = (bits >> mantissas) & (2 ** exponents - 1);
  const mantissa = (bits & (2 ** mantissas - 1)) / 2 ** mantissas;
  return sign * (exponent === 0 ? mantissa * 2 ** (1 - bias) : (1 + mantissa) * 2 ** (exponent - bias));
}

/** The values of a type of 8 or 16 bits, by a table of them all. */
function tableOf(bits: 8 | 16, value: (code: number) => number): (bytes: Bytes) => Float32Array {
  let table: Float32Array | undefined;
  return ({ buffer, byteOffset, byteLength }) => {
    table ??= Float32Array.from({ length: 2 ** bits }, (_, code) => value(code));
    const array = bits === 8 ? Uint8Array : Uint16Array;
    const codes = new array(buffer, byteOffset, (8 * byteLength) / bits);
    // A loop: `from` with a function is far slower, and networks have hundreds of millions of values.
    const values = new Float32Array(codes.length);
    for (let i = 0; i < codes.length; i++) values[i] = table[codes[i] as number] as number;
    return values;
  };
}

function floatToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // In units of the last place there: 2^−24 for subnormal numbers.
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -14)));
  const units = toEven(size / 2 ** (exponent - 10));
  // A mantissa that rounds up to the next power carries into the exponent by itself.
  return sign | (units + (exponent + 14) * 1024);
}

function floatToBrain(value: number): number {
  const word = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
  if (Number.isNaN(value)) return 0x7fc0;
  return toEven(word / 65536) & 0xffff;
}

function toEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
