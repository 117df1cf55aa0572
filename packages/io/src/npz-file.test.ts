import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { DamagedFile } from './index.js';
import { npzPieces, type OpenNpz, replaceFile, withNpz } from './node.js';
import type { Values } from './values.js';

// Written by numpy: parity/arrays.py.
const fixture = (name: string) => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-npz-'));
afterAll(() => rmSync(folder, { recursive: true }));

const all = async ({ entries, values }: OpenNpz) =>
  Object.fromEntries(
    await Promise.all(entries.map(async (entry) => [entry.name, [entry.dtype, entry.shape, await values(entry)]])),
  );
const images = Uint8Array.from({ length: 30 }, (_, i) => 8 * i);
const arrays = {
  arr_0: ['U8', [5, 3, 2], images],
  float64: ['F64', [2, 3], Float64Array.of(1.5, -2, Number.POSITIVE_INFINITY, 0.1, 1e300, -0)],
  float16: ['F16', [2], Float32Array.of(0.5, 65504)],
  int64: ['I64', [2], BigInt64Array.of(-1n, 2n ** 60n)],
  bool: ['BOOL', [2, 1], Uint8Array.of(1, 0)],
  scalar: ['F32', [], Float32Array.of(7)],
  empty: ['I32', [0, 4], new Int32Array(0)],
  fortran: ['I16', [2, 3], Int16Array.of(0, 1, 2, 3, 4, 5)],
};

test('what numpy.savez and savez_compressed wrote comes with its types, shapes and values', async () => {
  expect(await withNpz(fixture('arrays.npz'), all)).toEqual(arrays);
  const { zeros, ...rest } = await withNpz(fixture('compressed.npz'), all);
  expect(rest).toEqual(arrays);
  expect(zeros).toEqual(['U8', [1e6], new Uint8Array(1e6)]);
});

test.each(['arrays.npz', 'compressed.npz'])('the rows of %s come in parts', (name) =>
  withNpz(fixture(name), async ({ rows }) => {
    for (const count of [1, 2, 5, 100]) {
      const parts: Values[] = [];
      for await (const part of rows({ name: 'arr_0' }, count)) parts.push(part);
      const starts = Array.from({ length: Math.ceil(5 / count) }, (_, i) => i * count);
      expect(parts).toEqual(starts.map((start) => images.slice(6 * start, 6 * (start + count))));
    }
    // A reader may stop before the end.
    for await (const part of rows({ name: 'arr_0' }, 2)) {
      expect(part.length).toBe(12);
      break;
    }
    await expect(rows({ name: 'fortran' }, 1).next()).rejects.toThrow(
      "is in Fortran's order, so it cannot be read in parts",
    );
  }),
);

test('arrays come back as they were written', async () => {
  const path = join(folder, 'own.npz');
  const [data, more] = [Float64Array.of(1, 2, 3, 4), Float32Array.of(0.5, 2)];
  await replaceFile(path, npzPieces({ mu: { shape: [4], data }, 'a/b': { shape: [1, 2], data: more, dtype: 'F16' } }));
  expect(await withNpz(path, all)).toEqual({ mu: ['F64', [4], data], 'a/b': ['F16', [1, 2], more] });
});

describe('refused, with the reason', () => {
  test('arrays of objects, text, big-endian or complex numbers, when they are asked for', () =>
    withNpz(fixture('refused.npz'), async ({ entries, values }) => {
      expect(entries.map(({ name }) => name)).toEqual(['fine']);
      const reasons = {
        objects: 'Python objects',
        text: '"<U2"',
        big: '">f8"',
        complex: '"<c16"',
        none: 'no tensor "none"',
      };
      for (const [name, reason] of Object.entries(reasons)) await expect(values({ name })).rejects.toThrow(reason);
    }));

  /** A fixture with bytes changed, as a file of the given name. */
  const changed = (name: string, change: (bytes: Buffer) => Buffer | undefined) => {
    const bytes = readFileSync(fixture(name));
    const path = join(folder, 'changed.npz');
    writeFileSync(path, change(bytes) ?? bytes);
    return path;
  };
  const refused: [string, () => string, string][] = [
    [
      'a pickle',
      () => changed('arrays.npz', () => Buffer.from([0x80, 4, 0x7d, 0x2e])),
      'is a pickle, which could run code',
    ],
    ['a file cut off', () => changed('arrays.npz', (bytes) => bytes.subarray(0, 900)), 'is no valid zip file'],
    ["PyTorch's file", () => fixture('views.pt'), 'is no npz file: it holds "'],
    [
      'a changed number',
      () => changed('arrays.npz', (bytes) => void bytes.writeUInt8(77, bytes.indexOf(Buffer.from([8, 16, 24, 32])))),
      '"arr_0.npy" was changed since it was written',
    ],
    [
      'a changed packed number',
      () =>
        changed('compressed.npz', (bytes) => {
          const at = bytes.indexOf('zeros.npy') + 60;
          bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
        }),
      '"zeros.npy"',
    ],
    [
      'more bytes than the directory says',
      () =>
        changed('compressed.npz', (bytes) => {
          // The unpacked size, of the directory and of the entry, 24 bytes into the one and 22 into the other.
          const directory = bytes.lastIndexOf(Buffer.from('PK\x01\x02'));
          expect(bytes.readUInt32LE(directory + 24)).toBe(1e6 + 128);
          bytes.writeUInt32LE(4e9, directory + 24);
        }),
      'claims 4000000000 bytes',
    ],
  ];
  test.each(refused)('%s', async (_, make, reason) => {
    const path = make();
    const read = withNpz(path, async (file) => {
      for (const name of ['arr_0', 'zeros']) await file.values({ name });
    });
    await expect(read).rejects.toThrow(DamagedFile);
    await expect(read).rejects.toThrow(reason);
    await expect(read).rejects.toThrow(path);
  });
});
