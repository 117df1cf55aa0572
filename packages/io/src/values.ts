import type { Dtype } from './header.js';

/** The values of each type. F16 and BF16 are float32 numbers, as they all are; BOOL is 0 and 1. */
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
  ...{ U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array },
} as const;

/** The values in `bytes`, which must be aligned: without a copy, on the little-endian machines that JavaScript runs on. */
export function valuesOf(dtype: Dtype, { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Values {
  if (dtype === 'F16') return Float32Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), halfToFloat);
  if (dtype === 'BF16') {
    const words = Uint32Array.from(new Uint16Array(buffer, byteOffset, byteLength / 2), (half) => half << 16);
    return new Float32Array(words.buffer);
  }
  const array = arrays[dtype];
  return new array(buffer, byteOffset, byteLength / array.BYTES_PER_ELEMENT);
}

/** The bytes of values as `dtype`. F16 and BF16 are rounded to the nearest, halves to even. */
export function bytesFrom(dtype: Dtype, values: Values): Uint8Array {
  if (dtype === 'F16') return bytes(Uint16Array.from(values as Float32Array, floatToHalf));
  if (dtype === 'BF16') return bytes(Uint16Array.from(values as Float32Array, floatToBrain));
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
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
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
