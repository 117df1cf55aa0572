import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, say } from '@logsnr/io/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cifar10, cifar10Batch } from './node.js';

let folder: string;
let here = false;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-cifar10-'));
  try {
    await cifar10Batch('test_batch');
    here = true;
  } catch (error) {
    say(`the tests with CIFAR-10 are left out: ${(error as Error).message}`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('CIFAR-10 is the official one, image by image', async (context) => {
  if (!here) return context.skip();
  const sha1 = (name: string) =>
    createHash('sha1')
      .update(readFileSync(join(cacheFolder(), 'cifar10', `${name}.bin`)))
      .digest('hex');
  expect(sha1('data_batch_1')).toBe('aadd24acce27caa71bf4b10992e9e7b2d74c2540');
  expect(sha1('test_batch')).toBe('67eb016db431130d61cd03c7ad570b013799c88c');
  const { train, test } = await cifar10();
  expect([train.count, test.count, train.images.length]).toEqual([50_000, 10_000, 50_000 * 3072]);
  for (const { labels, count } of [train, test])
    for (let c = 0; c < 10; c++) expect(labels.filter((label) => label === c)).toHaveLength(count / 10);
  // The first eight test images, which the features of Inception are tested with, too.
  const known = readFileSync(new URL('../../evaluation/test/fixtures/inception-images.bin', import.meta.url));
  expect(Buffer.from(test.images.subarray(0, known.length)).equals(known)).toBe(true);
  expect([...test.labels.subarray(0, 8)]).toEqual([3, 8, 8, 0, 6, 6, 1, 6]);
  const second = await cifar10Batch('data_batch_2');
  expect(train.images.subarray(10_000 * 3072, 10_000 * 3072 + 3072)).toEqual(second.images.subarray(0, 3072));
});

test('a folder of one’s own is read by its hashes, and a file that is not the official one is refused', async (context) => {
  await expect(cifar10Batch('test_batch', { directory: folder })).rejects.toThrow(
    'test_batch.bin cannot be read: it is missing',
  );
  writeFileSync(join(folder, 'test_batch.bin'), 'short');
  await expect(cifar10Batch('test_batch', { directory: folder })).rejects.toThrow('has 5 bytes');
  writeFileSync(join(folder, 'test_batch.bin'), new Uint8Array(30_730_000));
  await expect(cifar10Batch('test_batch', { directory: folder })).rejects.toThrow(
    /has the SHA-256 .* CIFAR-10's has 8e2eb146/,
  );
  if (!here) return context.skip();
  cpSync(join(cacheFolder(), 'cifar10', 'test_batch.bin'), join(folder, 'test_batch.bin'));
  expect((await cifar10Batch('test_batch', { directory: folder })).count).toBe(10_000);
});
