import { describe, expect, test } from 'vitest';
import { DamagedFile, decodeNpy, encodeNpy } from './index.js';

const file = (header: string, data: ArrayLike<number> = [], version = 1): Uint8Array => {
  const text = [...header].map((letter) => letter.charCodeAt(0));
  const length = version === 1 ? [text.length & 255, text.length >> 8] : [text.length & 255, text.length >> 8, 0, 0];
  return Uint8Array.from([
    0x93,
    ...[...'NUMPY'].map((l) => l.charCodeAt(0)),
    version,
    0,
    ...length,
    ...text,
    ...Array.from(data),
  ]);
};
const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

test('an array comes back as it was written, and the numbers begin at a multiple of 64', () => {
  const arrays = [
    { shape: [2, 3], data: Float64Array.of(1, -2, 0.1, Number.NaN, 1e300, -0), dtype: 'F64' },
    { shape: [], data: Float32Array.of(1.5), dtype: 'F32' },
    { shape: [3], data: Uint8Array.of(1, 2, 255), dtype: 'U8' },
    { shape: [2], data: Uint8Array.of(1, 0), dtype: 'BOOL' },
    { shape: [1, 2], data: BigInt64Array.of(-1n, 2n ** 60n), dtype: 'I64' },
    { shape: [2], data: Float32Array.of(0.5, 65504), dtype: 'F16' },
    { shape: [0, 4], data: Int32Array.of(), dtype: 'I32' },
  ] as const;
  for (const array of arrays) {
    const bytes = encodeNpy(array);
    expect(decodeNpy(bytes)).toEqual(array);
    expect((new DataView(bytes.buffer).getUint16(8, true) + 10) % 64).toBe(0);
  }
});

test('the bytes are those that numpy writes', () => {
  const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  const expected = file(`${text}${' '.repeat(117 - text.length)}\n`, [0, 0, 128, 63, 0, 0, 0, 64]);
  expect([...encodeNpy({ shape: [2], data: Float32Array.of(1, 2) })]).toEqual([...expected]);
});

test("an array in Fortran's order is turned to row-major; later versions of the format are read", () => {
  const data = Uint8Array.of(1, 2, 3, 4, 5, 6);
  expect(decodeNpy(file(header('|u1', '(2, 3)', 'True'), data)).data).toEqual(Uint8Array.of(1, 3, 5, 2, 4, 6));
  expect(decodeNpy(file(header('|u1', '(6, 1)', 'True'), data)).data).toEqual(data);
  expect(decodeNpy(file(header('|u1', '(1, 2, 3)', 'True'), data)).data).toEqual(Uint8Array.of(1, 3, 5, 2, 4, 6));
  // a[i, j, k] = i + 2j + 4k of shape [2, 2, 2], in Fortran's order 0 … 7.
  const cube = decodeNpy(file(header('|u1', '(2, 2, 2)', 'True'), [0, 1, 2, 3, 4, 5, 6, 7])).data;
  expect(cube).toEqual(Uint8Array.of(0, 4, 2, 6, 1, 5, 3, 7));
  expect(decodeNpy(file(header('<i2', '(1,)'), [1, 2], 2)).data).toEqual(Int16Array.of(513));
});

describe('refused, with the reason', () => {
  const refused: [string, Uint8Array, string][] = [
    ['another format', Uint8Array.of(1, 2, 3), 'does not begin as an npy file does'],
    ['an unknown version', file(header('|u1', '(1,)'), [1], 9), 'version 9'],
    ['Python objects', file(header('|O', '(1,)'), [1]), 'Python objects, which could run code'],
    ['text', file(header('<U3', '(1,)'), new Array(12)), 'its numbers are "<U3"'],
    ['big-endian numbers', file(header('>f4', '(1,)'), [0, 0, 0, 0]), 'its numbers are ">f4"'],
    ['too few numbers', file(header('<f8', '(2,)'), new Array(8)), '[2] of <f8 takes 16 bytes, but 8 follow'],
    ['too many', file(header('|u1', '()'), [1, 2]), '[] of |u1 takes 1 bytes, but 2 follow'],
    [
      'sizes beyond all numbers',
      file(header('|u1', '(999999999999999, 999999999999999)')),
      'takes 9.99999999999998e+29 bytes',
    ],
    ['an expression', file("{'descr': '|u1', 'fortran_order': False, 'shape': (1+1,), }"), 'its header is'],
    ['no order', file("{'descr': '|u1', 'shape': (1,), }"), 'its header is'],
    ['a header cut off', file(header('|u1', '(1,)'), [1]).subarray(0, 40), 'cut off or damaged'],
    ['many digits without an end', file(header('|u1', `(${'1'.repeat(5000)}`)), 'its header is'],
  ];
  test.each(refused)('%s', (_, bytes, reason) => {
    expect(() => decodeNpy(bytes, 'a.npy')).toThrow(DamagedFile);
    expect(() => decodeNpy(bytes, 'a.npy')).toThrow(reason);
    expect(() => decodeNpy(bytes, 'a.npy')).toThrow('a.npy is no numpy array');
  });

  test('what numpy lacks is not written', () => {
    expect(() => encodeNpy({ shape: [1], data: Float32Array.of(1), dtype: 'BF16' })).toThrow('numpy has no BF16');
    expect(() => encodeNpy({ shape: [2], data: Float32Array.of(1) })).toThrow('its shape [2] needs 2');
  });
});
