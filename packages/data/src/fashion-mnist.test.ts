import { cpSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, say } from '@logsnr/io/node';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { fashionMnist } from './node.js';

let folder: string;
let here = false;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-fashion-'));
  try {
    await fashionMnist();
    here = true;
  } catch (error) {
    say(`the tests with Fashion-MNIST are left out: ${(error as Error).message}`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('all 70,000 pictures are there, class after class in turn', async (context) => {
  if (!here) return context.skip();
  const { train, test } = await fashionMnist();
  expect([train.count, test.count, train.height, train.width, train.channels]).toEqual([60_000, 10_000, 28, 28, 1]);
  for (const { labels } of [train, test]) expect(labels.every((label, i) => label === i % 10)).toBe(true);
  // The ankle boot that every introduction to this data shows, the third row of its shaft.
  const row = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 13, 73, 0, 0, 1, 4, 0, 0, 0, 0, 1, 1, 0];
  const boot = Array.from({ length: 1000 }, (_, k) => 10 * k + 9).filter((i) =>
    row.every((value, x) => test.images[i * 784 + 3 * 28 + x] === value),
  );
  expect(boot).toEqual([8999]);
  const mean = [train, test].reduce((sum, { images }) => sum + images.reduce((a, b) => a + b, 0), 0) / (70_000 * 784);
  expect(mean / 255).toBeCloseTo(0.2862, 4);
});

test('files that were changed are made anew', async (context) => {
  if (!here) return context.skip();
  cpSync(join(cacheFolder(), 'fashion-mnist'), join(folder, 'fashion-mnist'), { recursive: true });
  truncateSync(join(folder, 'fashion-mnist', 't10k-labels-idx1-ubyte'), 500);
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const { test } = await fashionMnist({ env: { ...process.env, LOGSNR_CACHE: folder } });
  expect(err.mock.calls.flat().join('')).toMatch(/t10k-labels-idx1-ubyte has the SHA-256 .* It is made anew/);
  err.mockRestore();
  expect(test.labels[17]).toBe(7);
});
