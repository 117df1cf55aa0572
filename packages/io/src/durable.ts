import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { assertFile, codeOf, explained, MOST } from './files.js';

/** A name beside `path` that no other writer has. */
export const besideOf = (path: string): string => `${path}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`;

const DAY = 86_400_000;

/** Removes what writers of `path` that were ended left beside it, a day ago or more. */
export async function sweepBeside(path: string): Promise<void> {
  const own = `${basename(path)}.`;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(own) || !name.endsWith('.tmp')) continue;
    const beside = join(dirname(path), name);
    const written = await stat(beside).catch(() => undefined);
    if (written && Date.now() - written.mtimeMs > DAY)
      await rm(beside, { recursive: true, force: true }).catch(() => {});
  }
}

/** The pieces of a file, in order. What the generator returns at its end takes the place of the first bytes. */
export type Pieces = AsyncGenerator<Uint8Array, Uint8Array | undefined>;

/**
 * Writes a new file and returns only when the disk has it: its pieces, then fsync. A file that could not be written in
 * full is removed.
 * @throws Error that names the file and says what to do, such as where the disk is full.
 */
export async function writeSynced(path: string, pieces: Pieces): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx');
    const beginning = await writePieces(file, pieces);
    if (beginning) await writeAll(file, beginning, 0);
    await file.sync();
    await file.close();
  } catch (error) {
    await file?.close().catch(() => {});
    if (file) await rm(path, { force: true }).catch(() => {});
    throw explained(error, path);
  }
}

/**
 * Replaces the file `path` as a whole: written beside it, synced, renamed, and its folder synced. Whatever happens on
 * the way, `path` is the old file or the new one.
 * @throws DamagedFile where `path` is something else, such as a device.
 */
export async function replaceFile(path: string, pieces: Pieces): Promise<void> {
  const there = await stat(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw explained(error, path);
  });
  if (there) assertFile(there, path, 'replaced');
  const beside = besideOf(path);
  await writeSynced(beside, pieces);
  try {
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw explained(error, path);
  }
  await sweepBeside(path);
}

/** Text or bytes as the pieces of a file. */
export async function* piecesOf(content: string | Uint8Array): Pieces {
  yield typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return undefined;
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

/** @returns what the generator does. */
async function writePieces(file: FileHandle, pieces: Pieces): Promise<Uint8Array | undefined> {
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value;
      await writeAll(file, value, at);
      at += value.length;
    }
  } finally {
    await pieces.return(undefined);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; )
    at += (await file.write(bytes, at, Math.min(bytes.length - at, MOST), position + at)).bytesWritten;
}
