import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Fingerprint, fingerprintOf, piecesOf, readText, writeSynced } from '@logsnr/io/node';

/** Values that JSON holds. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What a run's numbers depend on, by name. */
export type Settings = Readonly<Record<string, Json>>;

/** What a checkpoint's folder says of itself. */
export interface Manifest {
  readonly step: number;
  readonly settings: Settings;
  /** Every file of the checkpoint. */
  readonly files: Readonly<Record<string, Fingerprint>>;
}

const NAME = 'manifest.json';
const FORMAT = 'logsnr-run-1';

/** A folder whose contents are not what was written. Its message names the file. */
export class Damage extends Error {}

/** Writes the manifest, which holds the SHA-256 of every file and of itself. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const contents = { format: FORMAT, ...manifest };
  const text = JSON.stringify({ sha256: hashOf(contents), contents }, null, 2);
  await writeSynced(join(folder, NAME), piecesOf(`${text}\n`));
}

/**
 * The manifest of a checkpoint's folder, checked, and every file that it lists with it, byte by byte.
 * @throws Damage that names the file which is missing, cut short or changed.
 * @throws Error where the format is one of a later version.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, NAME);
  const text = await readText(path);
  if (text === undefined) throw new Damage(`${path} is missing`);
  const contents = contentsOf(text, path);
  if (contents.format !== FORMAT)
    throw new Error(
      `${path} has the format "${contents.format}"; this version reads "${FORMAT}". Use a newer version.`,
    );
  for (const [name, { bytes, sha256 }] of Object.entries(contents.files)) {
    const file = join(folder, name);
    const found = await fingerprintOf(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new Damage(`${file} is missing`);
      throw new Damage(`${file} cannot be read (${error.code})`);
    });
    if (found.bytes !== bytes) throw new Damage(`${file} has ${found.bytes} bytes where ${bytes} were written`);
    if (found.sha256 !== sha256) throw new Damage(`${file} was changed since it was written`);
  }
  return contents;
}

function contentsOf(text: string, path: string): Manifest & { readonly format: string } {
  try {
    const { sha256, contents } = JSON.parse(text);
    if (sha256 === hashOf(contents)) return contents;
  } catch {
    throw new Damage(`${path} is cut short or changed`);
  }
  throw new Damage(`${path} was changed since it was written`);
}

const hashOf = (contents: unknown): string => createHash('sha256').update(JSON.stringify(contents)).digest('hex');
