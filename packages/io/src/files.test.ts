import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DamagedFile } from './damaged-file.js';
import { piecesOf, replaceFile, writeSynced } from './durable.js';
import { fingerprintOf, makeFolder, readText, withFile } from './files.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a text comes back, whole and in pieces; none where there is no file', async () => {
  const path = join(folder, 'a');
  const text = 'é'.repeat(3_000_000);
  await writeSynced(path, piecesOf(text));
  expect(await readText(path)).toBe(text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  expect(await fingerprintOf(path)).toEqual({ bytes: 6_000_000, sha256 });
  expect(await readText(join(folder, 'b'))).toBeUndefined();
  await expect(readText(path, 5_999_999)).rejects.toThrow(`${path} has 6000000 bytes; it should have at most 5999999.`);
});

test('a folder is made with those above it, and where none can be made it is an error that comes at once', async () => {
  const deep = join(folder, 'a', 'b', 'c');
  await makeFolder(deep);
  await makeFolder(deep);
  expect((await lstat(deep)).isDirectory()).toBe(true);
  await writeFile(join(folder, 'file'), '');
  await expect(makeFolder(join(folder, 'file'))).rejects.toThrow('EEXIST');
  await expect(makeFolder(join(folder, 'file', 'below'))).rejects.toThrow('ENOTDIR');
  if (process.platform === 'linux') await expect(makeFolder('/proc/none/below')).rejects.toThrow('ENOENT');
});

describe.skipIf(process.platform === 'win32')('only a regular file is read', () => {
  const readers = { readText, fingerprintOf, withFile: (path: string) => withFile(path, (file) => file.read(0, 1)) };
  test.each(Object.entries(readers))('%s', async (_name, read) => {
    const at = (name: string) => join(folder, name);
    execFileSync('mkfifo', [at('fifo')]);
    await mkdir(at('folder'));
    await symlink('/dev/zero', at('link'));
    const server = createServer().listen(at('socket'));
    for (const [path, kind] of [
      [at('fifo'), 'a pipe'],
      [at('folder'), 'a folder'],
      [at('link'), 'a device'],
      [at('socket'), 'a socket'],
      ['/dev/zero', 'a device'],
    ] as const)
      await expect(read(path)).rejects.toThrow(new DamagedFile(`${path} is ${kind}; only a file can be read.`));
    server.close();
  });
});

test.skipIf(process.platform === 'win32')(
  'only a regular file is replaced, and nothing stays beside another',
  async () => {
    const at = (name: string) => join(folder, name);
    execFileSync('mkfifo', [at('fifo')]);
    await mkdir(at('folder'));
    await symlink('/dev/zero', at('link'));
    const before = await readdir(folder);
    for (const [name, kind] of [
      ['fifo', 'a pipe'],
      ['folder', 'a folder'],
      ['link', 'a device'],
    ] as const)
      await expect(replaceFile(at(name), piecesOf('new'))).rejects.toThrow(
        `${at(name)} is ${kind}; only a file can be replaced.`,
      );
    expect(await readdir(folder)).toEqual(before);
    expect((await lstat(at('link'))).isSymbolicLink()).toBe(true);
  },
);

test('a file that may not be read is no damaged file', async () => {
  const path = join(folder, 'a');
  await writeFile(path, 'text');
  const file = await open(path);
  const denied = Object.assign(new Error('EACCES: permission denied, read'), { code: 'EACCES' });
  const spy = vi.spyOn(Object.getPrototypeOf(file), 'read').mockRejectedValue(denied);
  try {
    const error = await fingerprintOf(path).catch((error: unknown) => error);
    expect(error).not.toBeInstanceOf(DamagedFile);
    expect(error).toMatchObject({ code: 'EACCES', message: expect.stringContaining(`${path} cannot be read: `) });
  } finally {
    spy.mockRestore();
    await file.close();
  }
});

test('what a writer that was ended left behind goes when the file is written again, after a day', async () => {
  const path = join(folder, 'a.safetensors');
  for (const name of ['a.safetensors.7-0.tmp', 'a.safetensors.8-0.tmp', 'b.7-0.tmp'])
    await writeFile(join(folder, name), '');
  for (const name of ['a.safetensors.7-0.tmp', 'b.7-0.tmp']) await utimes(join(folder, name), 1e9, 1e9);
  await replaceFile(path, piecesOf('new'));
  expect((await readdir(folder)).sort()).toEqual(['a.safetensors', 'a.safetensors.8-0.tmp', 'b.7-0.tmp']);
  expect(await readFile(path, 'utf8')).toBe('new');
});

test('a file that is there is not written over, and stays', async () => {
  const path = join(folder, 'a');
  await writeFile(path, 'old');
  await expect(writeSynced(path, piecesOf('new'))).rejects.toThrow(`${path} cannot be written: it is there already`);
  expect(await readFile(path, 'utf8')).toBe('old');
});

test('an error of the body is its own, whatever file it is of', async () => {
  const path = join(folder, 'a');
  await writeFile(path, '');
  const own = Object.assign(new Error('ENOENT: another file'), { code: 'ENOENT' });
  expect(await withFile(path, () => Promise.reject(own)).catch((error: unknown) => error)).toBe(own);
});

test('an error of the system that has no words here names the file too', async () => {
  const path = join(folder, 'a'.repeat(300));
  await expect(readText(path)).rejects.toThrow(`${path} cannot be read: ENAMETOOLONG`);
  await expect(replaceFile(path, piecesOf(''))).rejects.toThrow(/a{300}.* cannot be written: ENAMETOOLONG/);
});
