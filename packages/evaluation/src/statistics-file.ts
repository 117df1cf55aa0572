import { DamagedFile } from '@logsnr/io';
import { faultOf, npzPieces, replaceFile, withNpz } from '@logsnr/io/node';
import type { FeatureStatistics } from '@logsnr/metrics';
import * as v from 'valibot';

const text = v.pipe(v.string(), v.minLength(1));
/** What our own files say besides the numbers, as JSON in an array of bytes. */
const notesSchema = v.object({
  count: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(2))),
  origin: v.nullable(v.object({ extractor: text, sha256: text, resize: text })),
  data: v.nullable(text),
  split: v.nullable(text),
});
const NOTES = 'logsnr';
/** More features are of no extractor: their covariance would take 2 GB. */
const MOST = 16_384;

/**
 * Writes statistics as a `.npz` of `mu` and `sigma` in float64, which pytorch-fid and EDM read, and a third array that says what
 * they are of. The file is replaced as a whole.
 */
export async function writeStatistics(path: string, statistics: FeatureStatistics): Promise<void> {
  const { mean, covariance, count, origin, data, split } = statistics;
  const d = mean.length;
  const notes = new TextEncoder().encode(JSON.stringify({ count, origin, data, split }));
  const arrays = {
    mu: { shape: [d], data: mean },
    sigma: { shape: [d, d], data: covariance },
    [NOTES]: { shape: [notes.length], data: notes },
  };
  await replaceFile(path, npzPieces(arrays));
}

/**
 * Reads the statistics in a `.npz` of this project, guided-diffusion, pytorch-fid or EDM: `mu` [d] and `sigma` [d, d], float32 or
 * float64. Files of others do not say what they are of: `origin` and the rest are then null. EDM's `.pkl` is refused.
 * @throws DamagedFile that names the file and what is wrong with it.
 */
export const readStatistics = (path: string): Promise<FeatureStatistics> =>
  withNpz(path, async ({ entries, values }) => {
    const numbers = async (name: string, shape: readonly number[]): Promise<Float64Array> => {
      const found = await values({ name });
      const entry = entries.find((entry) => entry.name === name);
      if (entry?.shape.join() !== shape.join() || !(found instanceof Float64Array || found instanceof Float32Array))
        throw new DamagedFile(
          `${path}: "${name}" is ${entry?.dtype} [${entry?.shape.join(', ')}]; it must be float [${shape.join(', ')}].`,
        );
      if (!found.every(Number.isFinite)) throw new DamagedFile(`${path}: "${name}" holds numbers that are not finite.`);
      return Float64Array.from(found);
    };
    const d = entries.find(({ name }) => name === 'mu')?.shape[0] ?? 0;
    if (d < 1 || d > MOST || !entries.some(({ name }) => name === 'sigma'))
      throw new DamagedFile(
        `${path} holds no statistics: it needs "mu" [d] and "sigma" [d, d], and has ${entries.map(({ name }) => `"${name}"`).join(', ') || 'nothing'}.`,
      );
    const [mean, covariance] = [await numbers('mu', [d]), await numbers('sigma', [d, d])];
    const own = entries.some(({ name }) => name === NOTES);
    const notes = own ? notesOf(await values({ name: NOTES }), path) : NOTHING;
    return { mean, covariance, ...notes };
  });

const NOTHING = { count: null, origin: null, data: null, split: null };

function notesOf(bytes: unknown, path: string): v.InferOutput<typeof notesSchema> {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes as Uint8Array));
    const { success, output, issues } = v.safeParse(notesSchema, json, { abortEarly: true });
    if (success) return output;
    throw new Error(faultOf(issues));
  } catch (error) {
    throw new DamagedFile(
      `${path}: "${NOTES}" does not say what the statistics are of: ${(error as Error).message.slice(0, 200)}.`,
    );
  }
}
