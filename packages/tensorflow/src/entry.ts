import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Fingerprint,
  fingerprintOf,
  fingerprintSchema,
  piecesOf,
  readText,
  replaceFile,
  syncFolder,
} from '@logsnr/io/node';
import * as v from 'valibot';

// By their path in the entry, which leads nowhere else.
const schema = v.record(v.pipe(v.string(), v.regex(/^(?!(.*\/)?\.{0,2}(\/|$))/)), fingerprintSchema);

/** The files of a cache's entry, by their path in it. */
type Contents = Readonly<v.InferOutput<typeof schema>>;

/** What a program loads. */
const loaded = /\.(node|so[.\d]*)$/;

const MANIFEST = 'manifest.json';

/**
 * Takes from other users the right to change a folder's files, has the disk keep them, and writes their lengths and
 * hashes into the folder's manifest.
 * @param expected the hash of the contents, see `contentsHash`; where it is another one, nothing is written.
 * @returns whether the contents are the expected ones.
 */
export async function seal(folder: string, expected?: string): Promise<boolean> {
  const files: Record<string, Fingerprint> = {};
  const names = (await readdir(folder, { recursive: true })).filter((name) => name !== MANIFEST).sort();
  for (const name of ['.', ...names]) {
    const path = join(folder, name);
    const stats = await lstat(path);
    if (stats.mode & 0o022) await chmod(path, stats.mode & 0o755);
    if (!stats.isDirectory()) files[name] = await fingerprintOf(path);
    await syncFolder(path);
  }
  if (expected !== undefined && contentsHash(files) !== expected) return false;
  const manifest = join(folder, MANIFEST);
  await replaceFile(manifest, piecesOf(`${JSON.stringify(files, null, 1)}\n`));
  await chmod(manifest, 0o644);
  return true;
}

/** One hash of names and bytes of all files: that of what `sha256sum` prints of the sorted names. */
export const contentsHash = (files: Contents): string =>
  Object.entries(files)
    .reduce((hash, [name, { sha256 }]) => hash.update(`${sha256}  ${name}\n`), createHash('sha256'))
    .digest('hex');

/**
 * What is wrong with an entry of the cache, in some words; undefined where all is as it was installed.
 * @param needs the files that it must have, by their path in it.
 * @param all look at the bytes of every file. Else: of the files that a program loads at the length, and at the bytes
 *   of small ones.
 */
export async function faultOf(folder: string, needs: readonly string[], all: boolean): Promise<string | undefined> {
  const manifest = join(folder, MANIFEST);
  const files = await readManifest(manifest);
  if (!files) return `${manifest}, which says what was installed, is missing or damaged`;
  const untrusted = whyUntrusted(folder) ?? whyUntrusted(manifest);
  if (untrusted) return untrusted.why;
  const beside = (await readdir(folder)).filter((name) => loaded.test(name));
  const unlisted = [...needs, ...beside].find((name) => !Object.hasOwn(files, name));
  if (unlisted !== undefined) return `${manifest} does not list ${unlisted}`;
  for (const [name, { bytes, sha256 }] of Object.entries(files)) {
    if (!all && !loaded.test(name)) continue;
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile()) return `${path} is missing`;
    if (stats.size !== bytes) return `${path} is damaged: it has ${stats.size} bytes, and ${bytes} were installed`;
    // The loader also takes what else lies beside a library.
    const other = whyUntrusted(dirname(path)) ?? whyUntrusted(path);
    if (other) return other.why;
    if ((all || bytes < 2 ** 20) && (await fingerprintOf(path)).sha256 !== sha256)
      return `${path} is damaged: its bytes are not those that were installed`;
  }
  return undefined;
}

async function readManifest(file: string): Promise<Contents | undefined> {
  try {
    return v.parse(schema, JSON.parse((await readText(file)) ?? ''));
  } catch {
    return undefined;
  }
}

/**
 * Why a program must not load code from a path: another user owns it or may write it (`writable`). A group that has the number of
 * the path's owner is, by custom, that user's alone; root's has others in it.
 */
export function whyUntrusted(path: string): { readonly why: string; readonly writable: boolean } | undefined {
  const { uid, gid, mode } = statSync(path);
  if (uid !== 0 && uid !== process.getuid?.())
    return { why: `${path} belongs to another user (number ${uid})`, writable: false };
  if (mode & (gid === uid && uid !== 0 ? 0o002 : 0o022))
    return { why: `${path} can be written by other users`, writable: true };
  return undefined;
}
