import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Dtype } from './header.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';
import { bytesFrom, type Values, valuesOf } from './values.js';

const example = {
  tensors: {
    'a.b': { shape: [2, 3], data: Float32Array.of(0, 1, -2, 0.1, 3.5e38, 1e-45) },
    'naïve "name" {:}': { shape: [2], data: Int32Array.of(-(2 ** 31), 7) },
    scalar: { shape: [], data: Float32Array.of(4) },
    empty: { shape: [0, 2], data: new Float32Array(0) },
  },
  metadata: { note: 'two\nlines, "quoted": {}' },
};

/** What comes out: each array says its type. */
const typed = {
  ...example,
  checked: true,
  tensors: Object.fromEntries(
    Object.entries(example.tensors).map(([name, { shape, data }]) => [
      name,
      { shape, data, dtype: data instanceof Int32Array ? 'I32' : 'F32' },
    ]),
  ),
};

test('what goes in comes out, and the data is aligned', () => {
  const bytes = encodeSafetensors(example);
  expect(decodeSafetensors(bytes)).toEqual(typed);
  expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeSafetensors(shifted.subarray(3))).toEqual(typed);
});

/*
 * Written by the Python package safetensors 0.8.0 with numpy:
 * save({'w': np.array([[1.5, -2.0]], np.float32), 'n': np.array([3, -4, 5], np.int32)}, metadata={'by': 'python'}).
 */
const GOLDEN =
  'kAAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJieSI6InB5dGhvbiJ9LCJ3Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxLDJdLCJkYXRhX29mZnNldHMiOlswLDhdfSwibiI6eyJkdHlwZSI6IkkzMiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzgsMjBdfX0gICAAAMA/AAAAwAMAAAD8////BQAAAA==';

test("reads a file of Python's safetensors", () => {
  const { tensors, metadata, checked } = decodeSafetensors(Buffer.from(GOLDEN, 'base64'));
  expect(checked).toBe(false);
  expect(tensors).toEqual({
    w: { shape: [1, 2], data: Float32Array.of(1.5, -2), dtype: 'F32' },
    n: { shape: [3], data: Int32Array.of(3, -4, 5), dtype: 'I32' },
  });
  expect(metadata).toEqual({ by: 'python' });
});

test('writes these bytes', () => {
  const bytes = encodeSafetensors({ tensors: { w: { shape: [1], data: Float32Array.of(1) } }, metadata: { a: 'b' } });
  const json = (digits: string) =>
    `{"__metadata__":{"logsnr.sha256":"${digits}","a":"b"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`;
  const text = (digits: string) => `\xa8\0\0\0\0\0\0\0${json(digits).padEnd(168)}\0\0\x80?`;
  const sha256 = createHash('sha256')
    .update(text('0'.repeat(64)), 'latin1')
    .digest('hex');
  expect(Buffer.from(bytes).toString('latin1')).toBe(text(sha256));
});

test('one bit changed anywhere is noticed, or leaves a file without a checksum', () => {
  const bytes = encodeSafetensors(example);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    let read: ReturnType<typeof decodeSafetensors> | undefined;
    try {
      read = decodeSafetensors(changed, 'some.safetensors');
    } catch (error) {
      expect((error as Error).message).toMatch(/^some\.safetensors /);
    }
    // Where the bit is in the name of the checksum, the file is one of another tool, and says so.
    if (read) expect([read.checked, read.tensors]).toEqual([false, typed.tensors]);
  }
});

test('a file that another tool saved anew says what that tool must leave out', () => {
  const text = Buffer.from(encodeSafetensors(example)).toString('latin1');
  const [, sum] = /"logsnr\.sha256":("[0-9a-f]+")/.exec(text) ?? [];
  const saved = file(`{"__metadata__":{"a":"b","logsnr.sha256":${sum}}}`, 0);
  expect(() => decodeSafetensors(saved)).toThrow(/must leave out "logsnr\.sha256"/);
});

describe('a long header', () => {
  test('metadata of 16 MiB comes back', () => {
    const metadata = { long: '"\\é\n'.repeat(2 ** 22) };
    expect(decodeSafetensors(encodeSafetensors({ tensors: {}, metadata })).metadata).toEqual(metadata);
  });
  test('one beyond the format’s bound is not written', () => {
    const metadata = { long: 'x'.repeat(100_000_000) };
    expect(() => encodeSafetensors({ tensors: {}, metadata })).toThrow(/take 100000\d+ bytes; a header has at most/);
  });
  test('names, shapes and types nested a million deep are refused in words', () => {
    const deep = '['.repeat(1e6) + ']'.repeat(1e6);
    for (const header of [deep, `{"w":${deep}}`, `{"w":{"dtype":"F32","shape":${deep},"data_offsets":[0,0]}}`])
      expect(() => decodeSafetensors(file(header, 0), 'some.safetensors')).toThrow(/^some\.safetensors .{1,300}$/);
  });
});

test('refuses to write a shape that does not fit, or names that readers would mistake', () => {
  const one = { shape: [2], data: Float32Array.of(1) };
  expect(() => encodeSafetensors({ tensors: { w: one }, metadata: {} })).toThrow(/"w" has 1 values; its shape \[2\]/);
  const metadata = { n: 3 } as unknown as Record<string, string>;
  expect(() => encodeSafetensors({ tensors: {}, metadata })).toThrow(/metadata "n" is a number/);
  const tensors = { __metadata__: { shape: [1], data: Float32Array.of(1) } };
  expect(() => encodeSafetensors({ tensors, metadata: {} })).toThrow(/names "__metadata__" twice/);
  const sum = { 'logsnr.sha256': '' };
  expect(() => encodeSafetensors({ tensors: {}, metadata: sum })).toThrow(/"logsnr\.sha256" is the format's own/);
});

/** A file with this header and this many bytes of data. */
function file(header: unknown, dataLength: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}
const w = (more: object = {}) => ({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more });

test.each<[string, Uint8Array, RegExp]>([
  ['nothing', new Uint8Array(3), /has 3 bytes; a safetensors file has at least 8/],
  [
    'a header longer than the file',
    Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0),
    /header takes 99 bytes, but it has 8 bytes/,
  ],
  ['a huge header', new Uint8Array(16).fill(255), /header takes 18446744073709551615 bytes/],
  ['no JSON', file('{"w":', 0), /header is not JSON/],
  ['no UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe), /header is not JSON/],
  ['an array', file([], 0), /not a JSON object/],
  ['a name twice', file(`{"w":${JSON.stringify(w())},"\\u0077":${JSON.stringify(w())}}`, 8), /names "w" twice/],
  ['a key twice', file('{"w":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}', 8), /"dtype" twice/],
  ['metadata of numbers', file({ __metadata__: { a: 1 }, w: w() }, 8), /__metadata__ is not a map/],
  ['an entry that is no object', file({ w: 3 }, 8), /"w" is not an object/],
  ['an unknown dtype', file({ w: w({ dtype: 'F8' }) }, 8), /"w" has dtype: received "F8", expected F64, F32,/],
  [
    'a dtype of less than a byte',
    file({ w: w({ dtype: 'F4' }) }, 8),
    /"w" has dtype: received "F4", expected F64, F32,/,
  ],
  ['an object as dtype', file({ w: w({ dtype: {} }) }, 8), /"w" has dtype: received Object/],
  ['a name of objects as dtype', file({ w: w({ dtype: 'constructor' }) }, 8), /"w" has dtype: received "constructor"/],
  ['bytes of another type', file({ w: w({ dtype: 'F64' }) }, 8), /\[2\] needs 16 bytes, but has 8/],
  ['a negative size', file({ w: w({ shape: [-2] }) }, 8), /"w" has shape\.0: expected >=0 but received -2/],
  ['a size that is no integer', file({ w: w({ shape: [0.5, 4] }) }, 8), /"w" has shape/],
  ['no shape', file({ w: w({ shape: undefined }) }, 8), /"w" has shape: .* but received undefined/],
  ['three offsets', file({ w: w({ data_offsets: [0, 8, 9] }) }, 8), /"w" has data_offsets/],
  ['offsets the wrong way', file({ w: w({ data_offsets: [8, 0] }) }, 8), /needs 8 bytes, but has -8/],
  ['a shape that does not fit its bytes', file({ w: w({ shape: [3] }) }, 8), /\[3\] needs 12 bytes, but has 8/],
  ['an enormous shape', file({ w: w({ shape: [2 ** 52, 2 ** 52] }) }, 8), /needs .* bytes, but has 8/],
  ['a gap', file({ w: w({ data_offsets: [4, 12] }) }, 12), /"w" begins at byte 4 of the data, where 0 is expected/],
  ['an overlap', file({ w: w(), v: w({ data_offsets: [4, 12] }) }, 12), /"v" begins at byte 4 .* where 8 is expected/],
  ['less data', file({ w: w() }, 7), /tensors take 8 bytes, but the data has 7/],
  ['more data', file({ w: w() }, 9), /tensors take 8 bytes, but the data has 9/],
])('refuses %s', (_what, bytes, message) => {
  expect(() => decodeSafetensors(bytes, 'some.safetensors')).toThrow(message);
  expect(() => decodeSafetensors(bytes, 'some.safetensors')).toThrow(/^some\.safetensors/);
});

test('a name such as __proto__ is a name like any other', () => {
  const { tensors } = decodeSafetensors(file(`{"__proto__":${JSON.stringify(w())}}`, 8));
  expect(Object.keys(tensors)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(tensors)).toBe(Object.prototype);
});

test('every file cut short is refused', () => {
  const bytes = encodeSafetensors(example);
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodeSafetensors(bytes.subarray(0, length))).toThrow(RangeError);
});

describe('every type', () => {
  const values: Record<string, [dtype: Dtype, data: Values]> = {
    f64: ['F64', Float64Array.of(Math.PI, -1e300)],
    f32: ['F32', Float32Array.of(0.1, -3)],
    i64: ['I64', BigInt64Array.of(-(2n ** 63n), 7n)],
    i32: ['I32', Int32Array.of(-5, 6)],
    i16: ['I16', Int16Array.of(-32768, 1)],
    i8: ['I8', Int8Array.of(-128, 127)],
    u64: ['U64', BigUint64Array.of(2n ** 64n - 1n, 0n)],
    u32: ['U32', Uint32Array.of(2 ** 32 - 1, 0)],
    u16: ['U16', Uint16Array.of(65535, 3)],
    u8: ['U8', Uint8Array.of(255, 0)],
    bool: ['BOOL', Uint8Array.of(1, 0)],
    f16: ['F16', Float32Array.of(1.5, -65504)],
    bf16: ['BF16', Float32Array.of(1.5, -(2 ** 100))],
    c64: ['C64', Float32Array.of(1.5, -2, 0, 0.1)],
  };
  test('goes in and comes out, in one file, whatever lies before it', () => {
    const tensors = Object.fromEntries(
      Object.entries(values).map(([name, [dtype, data]]) => [name, { shape: [2], data, dtype }]),
    );
    const odd = { first: { shape: [3], data: Uint8Array.of(1, 2, 3), dtype: 'U8' as const }, ...tensors };
    expect(decodeSafetensors(encodeSafetensors({ tensors: odd })).tensors).toEqual(odd);
  });

  // [bits, value], by the definitions of IEEE 754 binary16 and of bfloat16.
  test.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x3555, (1 + 0x155 / 1024) / 4],
  ])('half %s is %s, both ways', (bits, value) => {
    expect([...valuesOf('F16', new Uint8Array(Uint16Array.of(bits).buffer))]).toEqual([value]);
    expect(bytesFrom('F16', Float32Array.of(value))).toEqual(new Uint8Array(Uint16Array.of(bits).buffer));
  });

  // [byte, value], by the definitions of arXiv 2209.05433, arXiv 2206.02915 and the OCP's microscaling formats.
  test.each<[Dtype, [byte: number, value: number][]]>([
    [
      'F8_E4M3',
      [
        [0x00, 0],
        [0x80, -0],
        [0x38, 1],
        [0xc1, -2.25],
        [0x7e, 448],
        [0x01, 2 ** -9],
        [0x08, 2 ** -6],
        [0x7f, Number.NaN],
      ],
    ],
    [
      'F8_E5M2',
      [
        [0x3c, 1],
        [0xc1, -2.5],
        [0x7b, 57344],
        [0x01, 2 ** -16],
        [0x7c, Infinity],
        [0xfc, -Infinity],
        [0x7d, Number.NaN],
      ],
    ],
    [
      'F8_E4M3FNUZ',
      [
        [0x40, 1],
        [0xc8, -2],
        [0x7f, 240],
        [0x01, 2 ** -10],
        [0x80, Number.NaN],
      ],
    ],
    [
      'F8_E5M2FNUZ',
      [
        [0x40, 1],
        [0xc4, -2],
        [0x7f, 57344],
        [0x01, 2 ** -17],
        [0x80, Number.NaN],
      ],
    ],
    [
      'F8_E8M0',
      [
        [0x7f, 1],
        [0x00, 2 ** -127],
        [0xfe, 2 ** 127],
        [0xff, Number.NaN],
      ],
    ],
  ])('%s is read, and not written', (dtype, pairs) => {
    const header = { w: { dtype, shape: [pairs.length], data_offsets: [0, pairs.length] } };
    const bytes = file(header, pairs.length);
    bytes.set(
      pairs.map(([byte]) => byte),
      bytes.length - pairs.length,
    );
    expect(decodeSafetensors(bytes).tensors.w?.data).toEqual(Float32Array.from(pairs, ([, value]) => value));
    const tensors = { w: { shape: [1], data: Float32Array.of(1), dtype } };
    expect(() => encodeSafetensors({ tensors })).toThrow(`${dtype} is read, not written; write F16, BF16 or F32.`);
  });

  test('every half and every bfloat16 comes back as it was, but for NaN’s payload', () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
      const numbers = valuesOf(dtype, new Uint8Array(all.buffer)) as Float32Array;
      const back = new Uint16Array(bytesFrom(dtype, numbers).slice().buffer);
      all.forEach((bits, i) => {
        if (!Number.isNaN(numbers[i])) expect(back[i]).toBe(bits);
        else
          expect(
            Number.isNaN(
              (valuesOf(dtype, new Uint8Array(Uint16Array.of(back[i] as number).buffer)) as Float32Array)[0],
            ),
          ).toBe(true);
      });
    }
  });

  test('rounds to the nearest, halves to even, and overflows to infinity', () => {
    const half = (value: number) =>
      (valuesOf('F16', new Uint8Array(bytesFrom('F16', Float32Array.of(value)))) as Float32Array)[0];
    expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519.9, 65520, 2 ** -25, 3 * 2 ** -26].map(half)).toEqual([
      1,
      1 + 2 ** -9,
      65504,
      Number.POSITIVE_INFINITY,
      0,
      2 ** -24,
    ]);
    const brain = (value: number) =>
      (valuesOf('BF16', new Uint8Array(bytesFrom('BF16', Float32Array.of(value)))) as Float32Array)[0];
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38].map(brain)).toEqual([1, 1 + 2 ** -6, Number.POSITIVE_INFINITY]);
  });

  test('another array than its type has is refused', () => {
    const tensors = { w: { shape: [1], data: Float32Array.of(1), dtype: 'I64' as const } };
    expect(() => encodeSafetensors({ tensors })).toThrow('values of I64 are a BigInt64Array, not a Float32Array.');
  });
});
