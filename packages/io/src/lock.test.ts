import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeLock } from './lock.js';

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rm(folder, { recursive: true }));

/** Leaves a lock like this process's own, but for some fields. */
async function leave(fields: object): Promise<void> {
  const lock = await takeLock(path);
  const owner = JSON.parse(await readFile(path, 'utf8'));
  await lock.release();
  await writeFile(path, JSON.stringify({ ...owner, ...fields }));
}
const gone = { pid: 2 ** 22 + 1 };

test('a lock is one process’s until it is given back', async () => {
  const lock = await takeLock(path);
  await lock.check();
  await expect(takeLock(path, { what: 'trains' })).rejects.toThrow(
    `${path} is held by process ${process.pid}, which trains since `,
  );
  expect(await readdir(folder)).toEqual(['lock']);
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
  await expect(lock.check()).rejects.toThrow(`${path} is no longer this process's`);
});

test('a lock is waited for as long as asked, and told of once', async () => {
  const first = await takeLock(path);
  const told: string[] = [];
  const onWait = (text: string) => told.push(text);
  await expect(takeLock(path, { waitMs: 300, onWait, what: 'fetches' })).rejects.toThrow(/which fetches since/);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/Waiting for up to 0\.3 s\.$/);
  const second = takeLock(path, { waitMs: 60_000 });
  await first.release();
  await (await second).release();
  expect(await readdir(folder)).toEqual([]);
  for (const waitMs of [-1, Number.NaN, Number.POSITIVE_INFINITY])
    await expect(takeLock(path, { waitMs })).rejects.toThrow(`waitMs is ${waitMs}`);
});

describe('a lock that its process left', () => {
  test('is taken over where the process is gone', async () => {
    await leave(gone);
    const lock = await takeLock(path);
    await lock.check();
    expect(await readdir(folder)).toEqual(['lock']);
  });

  test.runIf(process.platform === 'linux')('is taken over where its number is another process’s now', async () => {
    await leave({ began: '1' });
    await (await takeLock(path)).check();
  });

  test.runIf(process.platform === 'linux')('is taken over after a restart of the machine', async () => {
    await leave({ boot: 'another' });
    const { namespace } = JSON.parse(await readFile(path, 'utf8'));
    // In a container nobody can know whether the machine or only the container was started anew.
    if (namespace === 'pid:[4026531836]') await (await takeLock(path)).check();
    else await expect(takeLock(path)).rejects.toThrow(/another container/);
  });

  test('of many that find it at once, one gets it', async () => {
    for (let round = 0; round < 5; round++) {
      await leave({ ...gone, id: `dead-${round}` });
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
      const won = taken.filter((outcome) => outcome.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]?.value.check();
      await won[0]?.value.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('of many processes that take it over again and again, one has it at a time', async () => {
    const racer = fileURLToPath(new URL('../test/lock-racer.ts', import.meta.url));
    await leave(gone);
    const race = () => promisify(execFile)(process.execPath, ['--import', 'tsx', racer, folder, '20']);
    await Promise.all(Array.from({ length: 5 }, race));
    expect(await readdir(folder)).toEqual(['lock']);
  });
});

describe('a lock is not taken from a process that cannot be seen', () => {
  test.each([
    ['of another machine', { host: 'elsewhere' }, /of the machine elsewhere, which trains since .* delete the file/],
    ['of another container', { namespace: 'pid:[1]' }, /of another container, .* delete the file/],
    ['of another container, before a restart', { namespace: 'pid:[1]', boot: 'another' }, /of another container/],
    ['of another machine of the same name', { machine: 'another', boot: 'another' }, /of another machine/],
  ])('%s', async (_what, fields, message) => {
    await leave({ ...gone, ...fields });
    await expect(takeLock(path, { what: 'trains' })).rejects.toThrow(message);
  });

  const unshared = ['--pid', '--fork', '--mount-proc'];
  const canUnshare = (() => {
    try {
      execFileSync('unshare', [...unshared, 'true'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  })();
  test.runIf(canUnshare)('in another pid namespace, really', async () => {
    await leave(gone);
    const code = `const { takeLock } = await import(${JSON.stringify(new URL('lock.ts', import.meta.url).href)});
      await takeLock(${JSON.stringify(path)}).then(() => console.log('stolen'), (error) => console.log(error.message));`;
    const args = [...unshared, process.execPath, '--import', 'tsx', '--input-type=module', '-e', code];
    expect(execFileSync('unshare', args, { encoding: 'utf8' })).toMatch(/lock is held by .*another container/);
  });
});

describe('what is no lock', () => {
  const owner = {
    ...{ pid: 1, began: '', host: hostname(), machine: '', boot: '', namespace: '' },
    ...{ since: '2026-01-01T00:00:00.000Z', id: 'a' },
  };
  test.each([
    ['nothing', ''],
    ['garbage', '\0\u0001garbage'],
    ['0', '0'],
    ['-1', '-1'],
    ['a host of a thousand letters', JSON.stringify({ ...owner, host: 'x'.repeat(1000) })],
    ['process 0', JSON.stringify({ ...owner, pid: 0 })],
    ['process -1', JSON.stringify({ ...owner, pid: -1 })],
    ['a number of text', JSON.stringify({ ...owner, pid: '7' })],
    ['a name that is a path', JSON.stringify({ ...owner, id: '../../x' })],
    ['a megabyte', 'x'.repeat(2 ** 20)],
    ['deep nesting', '['.repeat(2 ** 20)],
  ])('%s: refused in the time given, with the file’s name', async (_what, text) => {
    await writeFile(path, text);
    for (const waitMs of [0, 50])
      await expect(takeLock(path, { waitMs })).rejects.toThrow(
        `${path} cannot be read, so its owner is unknown. If no other process uses it, delete it.`,
      );
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  test('a link that leads nowhere, a link, a folder', async () => {
    await symlink(join(folder, 'nowhere'), path);
    await expect(takeLock(path, { waitMs: 60_000 })).rejects.toThrow(
      `${path} is a symbolic link; only a file can be a lock. Delete it, unless another program needs it.`,
    );
    await rm(path);
    await writeFile(join(folder, 'file'), JSON.stringify(owner));
    await symlink(join(folder, 'file'), path);
    await expect(takeLock(path)).rejects.toThrow(/is a symbolic link/);
    await rm(path);
    await mkdir(path);
    await expect(takeLock(path)).rejects.toThrow(/is a folder/);
  });
});

test('files that others left beside it are no hindrance, and go after a day', async () => {
  for (let n = 0; n < 50; n++) await writeFile(`${path}.${process.pid}-${n}.tmp`, '');
  await utimes(`${path}.${process.pid}-7.tmp`, 1e9, 1e9);
  await writeFile(join(folder, 'other.1-0.tmp'), '');
  await utimes(join(folder, 'other.1-0.tmp'), 1e9, 1e9);
  const lock = await takeLock(path);
  const names = await readdir(folder);
  expect(names).toHaveLength(1 + 49 + 1);
  expect(names).not.toContain(`lock.${process.pid}-7.tmp`);
  await lock.release();
});
