import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DamagedFile } from '@logsnr/io';
import { codeOf, faultOf, fingerprintOf, fingerprintSchema, piecesOf, readText, writeSynced } from '@logsnr/io/node';
import * as v from 'valibot';

/** Values that JSON holds. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What a run's numbers depend on, by name. */
export type Settings = Readonly<Record<string, Json>>;

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
const envelope = v.object({ sha256: v.string(), contents: v.custom<{ readonly format: unknown }>(isObject) });
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const schema = v.object({
  step: count,
  settings: v.custom<Settings>(isObject),
  /** The backends that the run was on, each with its first step. Folders of before have none. */
  backends: v.optional(v.array(v.object({ from: count, name: v.string() })), []),
  // A name of a file in the folder itself: none of another folder is read.
  files: v.record(v.pipe(v.string(), v.regex(/^\w[\w.-]*$/)), fingerprintSchema),
});

/** What a checkpoint's folder says of itself: the step, the settings, and every file with its fingerprint. */
export type Manifest = Readonly<v.InferOutput<typeof schema>>;

const NAME = 'manifest.json';
const FORMAT = 'logsnr-run-1';
/** More bytes are no manifest. */
const LONGEST = 2 ** 26;

/** Writes the manifest, which holds the SHA-256 of every file and of itself. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const contents = { format: FORMAT, ...manifest };
  const text = JSON.stringify({ sha256: hashOf(contents), contents }, null, 2);
  await writeSynced(join(folder, NAME), piecesOf(`${text}\n`));
}

/**
 * The manifest of a checkpoint's folder, checked, and every file that it lists with it, byte by byte.
 * @param others the files that the caller reads and checks itself.
 * @throws DamagedFile that names the file which is missing, cut short or changed.
 * @throws Error where a file cannot be read, which is no damage, or the format is one of a later version.
 */
export async function readManifest(folder: string, others: readonly string[] = []): Promise<Manifest> {
  const path = join(folder, NAME);
  const text = await readText(path, LONGEST).catch((error: unknown) => {
    throw codeOf(error) === 'ENOTDIR' ? new DamagedFile(`${folder} is no folder`) : error;
  });
  if (text === undefined) throw new DamagedFile(`${path} is missing`);
  const contents = contentsOf(text, path);
  for (const [name, { bytes, sha256 }] of Object.entries(contents.files)) {
    if (others.includes(name)) continue;
    const file = join(folder, name);
    const found = await fingerprintOf(file).catch((error: unknown) => {
      throw codeOf(error) === 'ENOENT' ? new DamagedFile(`${file} is missing`) : error;
    });
    if (found.bytes !== bytes) throw new DamagedFile(`${file} has ${found.bytes} bytes where ${bytes} were written`);
    if (found.sha256 !== sha256) throw new DamagedFile(`${file} was changed since it was written`);
  }
  return contents;
}

function contentsOf(text: string, path: string): Manifest {
  let whole: v.InferOutput<typeof envelope>;
  let sum: string;
  try {
    whole = v.parse(envelope, JSON.parse(text));
    sum = hashOf(whole.contents);
  } catch {
    throw new DamagedFile(`${path} is cut short or changed`);
  }
  const { sha256, contents } = whole;
  if (sha256 !== sum) throw new DamagedFile(`${path} was changed since it was written`);
  if (contents.format !== FORMAT)
    throw new Error(
      `${path} has the format "${contents.format}"; this version reads "${FORMAT}". Use a newer version.`,
    );
  const { success, output, issues } = v.safeParse(schema, contents);
  if (!success) throw new DamagedFile(`${path} is not a manifest: ${faultOf(issues)}`);
  return output;
}

const hashOf = (contents: unknown): string => createHash('sha256').update(JSON.stringify(contents)).digest('hex');
