import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { DamagedFile } from './damaged-file.js';

/** A file's length in bytes and its SHA-256, in hexadecimal digits. */
export interface Fingerprint {
  readonly bytes: number;
  readonly sha256: string;
}

/** A fingerprint as files list it. */
export const fingerprintSchema: v.GenericSchema<Fingerprint> = v.object({
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256: v.pipe(v.string(), v.regex(/^[\da-f]{64}$/)),
});

/** A file that is open for reading. */
export interface Reading {
  readonly bytes: number;
  /** @throws DamagedFile where the file ends before. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The rest of the file from `position` on, in pieces of 4 MiB. */
  pieces(position: number): AsyncIterable<Uint8Array>;
}

/**
 * Opens a file, hands it to `body` and closes it. Nothing but a regular file is read: a device, a pipe or a socket may
 * never end, or answer never.
 * @throws DamagedFile where `path` is something else.
 * @throws Error that names the file and says in words why it cannot be read; `code` says it as the system does.
 */
export async function withFile<R>(path: string, body: (file: Reading) => Promise<R>): Promise<R> {
  const { file, size } = await openFile(path).catch((error: unknown) => {
    throw explained(error, path, 'read');
  });
  try {
    return await body(readingOf(file, path, size));
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<{ file: FileHandle; size: number }> {
  // Before it is opened, since opening some devices has effects; and after, since it may be another by then.
  assertFile(await stat(path), path);
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = await file.stat();
    assertFile(stats, path);
    return { file, size: stats.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function readingOf(file: FileHandle, path: string, bytes: number): Reading {
  const read = async (position: number, length: number) => {
    const piece = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file
        .read(piece, at, Math.min(length - at, MOST), position + at)
        .catch((error: unknown) => {
          throw explained(error, path, 'read');
        });
      if (bytesRead === 0) throw new DamagedFile(`${path} ended after ${position + at} bytes while it was read.`);
      at += bytesRead;
    }
    return piece;
  };
  const pieces = async function* (position: number) {
    for (let at = position; at < bytes; at += PIECE) yield await read(at, Math.min(PIECE, bytes - at));
  };
  return { bytes, read, pieces };
}

/** A system call takes less than 2 GiB. */
export const MOST = 2 ** 30;
const PIECE = 2 ** 22;

/** The fingerprint of a file as it is on the disk. */
export const fingerprintOf = (path: string): Promise<Fingerprint> =>
  withFile(path, async ({ bytes, pieces }) => {
    const hash = createHash('sha256');
    for await (const piece of pieces(0)) hash.update(piece);
    return { bytes, sha256: hash.digest('hex') };
  });

/** @throws DamagedFile unless the file has this SHA-256. */
export async function checkSha256(path: string, expected: string): Promise<void> {
  const { sha256 } = await fingerprintOf(path);
  if (sha256 !== expected) throw new DamagedFile(`${path} has the SHA-256 ${sha256}, not ${expected}.`);
}

/**
 * The text of a file, or undefined where there is none.
 * @throws DamagedFile where it has over `most` bytes.
 */
export async function readText(path: string, most = 2 ** 29): Promise<string | undefined> {
  try {
    return await withFile(path, async ({ bytes, read }) => {
      if (bytes > most) throw new DamagedFile(`${path} has ${bytes} bytes; it should have at most ${most}.`);
      return new TextDecoder().decode(await read(0, bytes));
    });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Throws where `path` itself, a link not followed, is there and can be no lock, not being a regular file. */
export async function assertLock(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw explained(error, path, 'read');
  });
  if (stats) assertFile(stats, path, 'a lock');
}

export function assertFile(stats: Stats, path: string, what: 'read' | 'replaced' | 'a lock' = 'read'): void {
  if (stats.isFile()) return;
  const kinds = [
    [stats.isDirectory(), 'a folder'],
    [stats.isSymbolicLink(), 'a symbolic link'],
    [stats.isFIFO(), 'a pipe'],
    [stats.isSocket(), 'a socket'],
  ] as const;
  const kind = kinds.find(([is]) => is)?.[1] ?? 'a device';
  const todo = what === 'a lock' ? ' Delete it, unless another program needs it.' : '';
  throw new DamagedFile(`${path} is ${kind}; only a file can be ${what}.${todo}`);
}

/** The system's code of an error, such as ENOENT. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free some space',
  EDQUOT: "the user's share of the disk is used up. Free some space",
  EROFS: 'the file system is read-only. Choose another folder',
  EACCES: 'this user may not. Choose another folder, or change its permissions',
  EPERM: 'this user may not. Choose another folder, or change its permissions',
  ENOTDIR: 'part of the path is a file. Choose another folder',
  ELOOP: 'its symbolic links lead nowhere. Choose another folder',
  EMFILE: 'this process has too many files open. Close some',
  EEXIST: 'it is there already. Choose another name',
  EIO: 'the disk reports an error. Check it',
};

/** An error that says in words why a path cannot be written, or read; errors that are not of the system as they are. */
export function explained(error: unknown, path: string, what: 'written' | 'read' = 'written'): Error {
  const code = codeOf(error);
  if (!(error instanceof Error)) return new Error(String(error));
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  // Node says so of a folder that cannot be made in a read-only place, too.
  const noFolder = 'the folder that it is in is not there, and was not made. Make it, or choose another folder';
  const missing = what === 'read' ? 'it is missing' : noFolder;
  const advice = code === 'ENOENT' ? missing : (ADVICE[code] ?? error.message);
  return Object.assign(new Error(`${path} cannot be ${what}: ${advice} (${code}).`, { cause: error }), { code });
}

/** Makes a folder and those above it that are missing. Node's own way, `recursive`, never ends where the system lets none be made. */
export async function makeFolder(folder: string, options: { mode?: number } = {}): Promise<void> {
  try {
    await mkdir(folder, options);
  } catch (error) {
    const above = dirname(folder);
    if (codeOf(error) === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (codeOf(error) !== 'ENOENT' || above === folder) throw error;
    await makeFolder(above, options);
    await mkdir(folder, options).catch(async (again) => {
      // Another process may have made it meanwhile.
      if (codeOf(again) !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw again;
    });
  }
}
