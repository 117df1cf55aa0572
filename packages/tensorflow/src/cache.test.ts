import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheFolder, fillFolder, withLock } from './cache.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('LOGSNR_CACHE names the cache folder; without it, it is a folder of the user', () => {
  expect(cacheFolder({ LOGSNR_CACHE: 'here' })).toBe(resolve('here'));
  expect(cacheFolder({})).toContain('logsnr');
});

test('a folder appears whole or not at all, and a failure leaves nothing', async () => {
  const target = join(folder, 'a');
  await fillFolder(target, async (beside) => {
    writeFileSync(join(beside, 'file'), '1');
    expect(existsSync(target)).toBe(false);
  });
  expect(readFileSync(join(target, 'file'), 'utf8')).toBe('1');
  const broken = fillFolder(join(folder, 'b'), async (beside) => {
    writeFileSync(join(beside, 'file'), '1');
    throw new Error('ended half-way');
  });
  await expect(broken).rejects.toThrow('ended half-way');
  expect(readdirSync(folder)).toEqual(['a']);
});

test('of two that fill the same folder the first stays, unless the second replaces it', async () => {
  const target = join(folder, 'a');
  const fill = (text: string, replace?: boolean) =>
    fillFolder(target, async (beside) => writeFileSync(join(beside, 'file'), text), replace);
  await fill('1');
  await fill('2');
  expect(readFileSync(join(target, 'file'), 'utf8')).toBe('1');
  await fill('3', true);
  expect(readFileSync(join(target, 'file'), 'utf8')).toBe('3');
});

test('work under one lock never overlaps, and the lock goes when the work fails', async () => {
  const lock = join(folder, 'lock');
  let [inside, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++inside);
    await sleep(20);
    inside--;
  };
  await Promise.all([withLock(lock, work), withLock(lock, work), withLock(lock, work)]);
  expect(most).toBe(1);
  await expect(withLock(lock, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(lock)).toBe(false);
});

test('a lock whose process is gone is taken over', async () => {
  const lock = join(folder, 'lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(lock, `${pid} ${hostname()}`);
  expect(await withLock(lock, async () => 'done')).toBe('done');
});
