import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from './lock.js';

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rm(folder, { recursive: true }));

test('of many that find a dead lock at once, one gets it', async () => {
  const dead = { pid: 2 ** 22 + 1, began: '', host: hostname(), since: '2026-01-01T00:00:00.000Z' };
  for (let round = 0; round < 5; round++) {
    await writeFile(path, JSON.stringify({ ...dead, id: `dead-${round}` }));
    const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
    const won = taken.filter((outcome) => outcome.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]?.value.check();
    await won[0]?.value.release();
    expect(await readdir(folder)).toEqual([]);
  }
});

test('a lock is waited for as long as asked, and told of once', async () => {
  const first = await takeLock(path);
  const told: string[] = [];
  const onWait = (text: string) => told.push(text);
  await expect(takeLock(path, { waitMs: 300, onWait, what: 'fetches' })).rejects.toThrow(
    `${path} is held by process ${process.pid}, which fetches since`,
  );
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/Waiting for up to 0\.3 s\.$/);
  const second = takeLock(path, { waitMs: 60_000 });
  await first.release();
  await (await second).release();
  expect(await readdir(folder)).toEqual([]);
});
