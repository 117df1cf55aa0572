import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A file's length in bytes and its SHA-256, in hexadecimal digits. */
export interface Fingerprint {
  readonly bytes: number;
  readonly sha256: string;
}

let written = 0;

/** A name beside `path` that no other writer has. */
export const besideOf = (path: string): string => `${path}.${process.pid}-${written++}.tmp`;

/**
 * Writes a new file and returns only when the disk has it: its pieces, then fsync. A file that could not be written in
 * full is removed.
 * @throws Error that names the file and says what to do, such as where the disk is full.
 */
export async function writeSynced(path: string, pieces: AsyncIterable<Uint8Array>): Promise<Fingerprint> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const file = await open(path, 'wx');
    try {
      for await (const piece of pieces) {
        await writeAll(file, piece);
        hash.update(piece);
        bytes += piece.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw explained(error, path);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/**
 * Replaces the file `path` as a whole: written beside it, synced, renamed, and its folder synced. Whatever happens on
 * the way, `path` is the old file or the new one.
 */
export async function replaceFile(path: string, pieces: AsyncIterable<Uint8Array>): Promise<Fingerprint> {
  const beside = besideOf(path);
  const fingerprint = await writeSynced(beside, pieces);
  try {
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw explained(error, path);
  }
  await syncFolder(dirname(path));
  return fingerprint;
}

/** Text or bytes as the pieces of a file. */
export async function* piecesOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

/** Makes the names in a folder durable, so that a rename in it outlasts a power cut. */
export async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders; its file systems journal names themselves.
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The fingerprint of a file as it is on the disk. */
export async function fingerprintOf(path: string): Promise<Fingerprint> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  let bytes = 0;
  try {
    const piece = new Uint8Array(2 ** 22);
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, bytes);
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** The text of a file, or undefined where there is none. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free some space',
  EDQUOT: "the user's share of the disk is used up. Free some space",
  EROFS: 'the file system is read-only. Choose another folder',
  EACCES: 'this user may not write there. Choose another folder, or change its permissions',
  EPERM: 'this user may not write there. Choose another folder, or change its permissions',
  ENOTDIR: 'part of the path is a file. Choose another folder',
  // What Node makes of a folder that cannot be made in a read-only place.
  ENOENT: 'the folder that it is in cannot be made; the file system may be read-only. Choose another folder',
  EIO: 'the disk reports an error. Check it',
};

/** An error that says in words why a path cannot be written; errors of other kinds as they are. */
export function explained(error: unknown, path: string): Error {
  const { code } = error as NodeJS.ErrnoException;
  const advice = code === undefined ? undefined : ADVICE[code];
  if (!advice) return error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(`${path} cannot be written: ${advice} (${code}).`, { cause: error }), { code });
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // A system call takes less than 2 GiB.
  for (let at = 0; at < bytes.length; )
    at += (await file.write(bytes, at, Math.min(bytes.length - at, 2 ** 30))).bytesWritten;
}
