import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DamagedFile, type Stored } from '@logsnr/io';
import { npzPieces, replaceFile, withNpz } from '@logsnr/io/node';
import { afterAll, expect, test } from 'vitest';
import { readStatistics, writeStatistics } from './node.js';

// Written by numpy: parity/arrays.py.
const fixture = (name: string) => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-statistics-'));
afterAll(() => rmSync(folder, { recursive: true }));

const numbers = { mean: Float64Array.of(1, -2), covariance: Float64Array.of(2, 0.5, 0.5, 1) };

test('files of other projects are read, and say nothing of what they are', async () => {
  for (const name of ['statistics.npz', 'float32.npz'])
    expect(await readStatistics(fixture(name))).toEqual({
      ...numbers,
      ...{ count: null, origin: null, data: null, split: null },
    });
});

test('statistics come back with what they are of, and others find mu and sigma in the file', async () => {
  const path = join(folder, 'own.npz');
  const origin = { extractor: 'inception-2015-12-05', sha256: 'ab', resize: 'tf1-bilinear-299' };
  const statistics = { ...numbers, count: 10_000, origin, data: 'CIFAR-10', split: 'test' };
  await writeStatistics(path, statistics);
  expect(await readStatistics(path)).toEqual(statistics);
  await withNpz(path, async ({ entries, values }) => {
    expect(entries.slice(0, 2)).toEqual([
      { name: 'mu', dtype: 'F64', shape: [2] },
      { name: 'sigma', dtype: 'F64', shape: [2, 2] },
    ]);
    expect(await values({ name: 'sigma' })).toEqual(numbers.covariance);
  });
});

const text = (json: string): Stored => ({ shape: [json.length], data: new TextEncoder().encode(json) });
const mu = { shape: [2], data: numbers.mean };
const sigma = { shape: [2, 2], data: numbers.covariance };

test.each<[string, Record<string, Stored>, string]>([
  [
    'images',
    { arr_0: { shape: [1], data: Uint8Array.of(1) } },
    'it needs "mu" [d] and "sigma" [d, d], and has "arr_0"',
  ],
  ['no covariance', { mu }, 'and has "mu"'],
  ['a covariance of another size', { mu, sigma: mu }, '"sigma" is F64 [2]; it must be float [2, 2]'],
  ['integers', { mu: { shape: [2], data: Int32Array.of(1, 2) }, sigma }, '"mu" is I32 [2]; it must be float [2]'],
  [
    'NaN',
    { mu: { shape: [2], data: Float64Array.of(1, Number.NaN) }, sigma },
    '"mu" holds numbers that are not finite',
  ],
  ['notes that are no JSON', { mu, sigma, logsnr: text('{') }, '"logsnr" does not say what the statistics are of'],
  ['notes that lack something', { mu, sigma, logsnr: text('{"count":1}') }, 'count: '],
])('%s are refused, with the reason', async (_, arrays, reason) => {
  const path = join(folder, 'refused.npz');
  await replaceFile(path, npzPieces(arrays));
  await expect(readStatistics(path)).rejects.toThrow(DamagedFile);
  await expect(readStatistics(path)).rejects.toThrow(reason);
  await expect(readStatistics(path)).rejects.toThrow(path);
});

test("a pickle, such as EDM's, is refused", async () => {
  const path = join(folder, 'edm.pkl');
  writeFileSync(path, Uint8Array.of(0x80, 4, 0x7d, 0x94, 0x2e));
  await expect(readStatistics(path)).rejects.toThrow('is a pickle, which could run code');
  expect(readFileSync(path).length).toBe(5);
});
