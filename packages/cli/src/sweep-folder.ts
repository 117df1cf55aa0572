import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DirectExtractor } from '@logsnr/evaluation';
import { featuresOf, openImages, readStatistics, writeStatistics } from '@logsnr/evaluation/node';
import { DamagedFile } from '@logsnr/io';
import { piecesOf, readText, replaceFile, say, takeLock } from '@logsnr/io/node';
import { linearAlgebra } from '@logsnr/tensorflow';
import * as v from 'valibot';

/** The file of a sweep's settings, by which its folder is known. */
export const SETTINGS = 'sweep.json';
/** The file of the reference's statistics. */
export const REFERENCE = 'reference.npz';
/** An hour: how long to wait for another process that computes the reference. */
const PATIENCE = { waitMs: 3_600_000, onWait: say };

/** Works as the one process that prepares or reports. */
export async function underLock<R>(out: string, work: () => Promise<R>): Promise<R> {
  const lock = await takeLock(join(out, 'sweep.lock'), { what: 'prepares or reports this sweep', ...PATIENCE });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/**
 * Notes what the numbers depend on. A folder is begun with the first of the models, and others join it.
 * @param weights SHA-256 of each model's weights.
 * @returns the weights that the folder was begun with: cells of that model have plain names.
 * @throws RangeError where the folder's sweep has other settings, or is of none of the models.
 */
export async function settle(out: string, weights: readonly string[], settings: object): Promise<string> {
  return underLock(out, async () => {
    const text = await readText(join(out, SETTINGS));
    const saved = text === undefined ? undefined : parsed(text, join(out, SETTINGS));
    const first = weights.find((each) => each === saved?.weights) ?? (weights[0] as string);
    const own = JSON.parse(JSON.stringify({ weights: first, ...settings }));
    if (saved === undefined) await replaceFile(join(out, SETTINGS), piecesOf(`${JSON.stringify(own, null, 2)}\n`));
    const other = Object.keys(own).filter((name) => saved && !isDeepStrictEqual(saved[name], own[name]));
    if (other.length === 0) return first;
    const said = other.map((name) => `${name} is ${JSON.stringify(own[name])}, was ${JSON.stringify(saved?.[name])}`);
    throw new RangeError(`${out} is of a sweep with other settings: ${said.join('; ')}. Give another --out.`);
  });
}

const schema = v.pipe(v.string(), v.parseJson(), v.looseObject({ weights: v.string() }));

function parsed(text: string, path: string): Record<string, unknown> {
  const { success, output } = v.safeParse(schema, text);
  if (success) return output;
  throw new DamagedFile(`${path} is not what a sweep writes. Delete it to go on with what the cells have.`);
}

/** Computes the statistics of the reference once for all processes. */
export const prepareReference = (
  out: string,
  reference: string,
  extractor: DirectExtractor,
  backend: string,
): Promise<void> =>
  underLock(out, async () => {
    const path = join(out, REFERENCE);
    if (await stat(path).catch(() => undefined)) return;
    if (/\.npz$/i.test(reference)) return writeStatistics(path, await readStatistics(reference));
    const images = await openImages(reference);
    say(`features of ${reference}: ${images.count} images`);
    const algebra = backend === 'tensorflow' ? linearAlgebra() : undefined;
    await writeStatistics(path, (await featuresOf(images, extractor, null, { algebra })).statistics);
  });
