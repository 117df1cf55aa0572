import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { checkInteger, type LinearAlgebra } from '@logsnr/core';
import { toUnit } from '@logsnr/data';
import { DamagedFile } from '@logsnr/io';
import { codeOf, makeFolder, replaceFile, safetensorsPieces, say, withSafetensors } from '@logsnr/io/node';
import {
  type FeatureStatistics,
  gaussianStatistics,
  type Matrix,
  type Moments,
  mergeMoments,
  moments,
} from '@logsnr/metrics';
import { dispose, type Tensor2D, tensor4d } from '@tensorflow/tfjs-core';
import type { Extractor, Found } from './extractor.js';
import { type ImageSource, nameOf, readBytes } from './image-source.js';

/** About so many images make a block: their features are in memory together, and written to the disk together. */
const BLOCK = 1000;

export interface FeatureOptions {
  /** Images at once in the network; 32 unless given. */
  readonly batch?: number | undefined;
  /** Keep all features (n · d floats), and not their mean and covariance alone. */
  readonly keep?: boolean | undefined;
  /** Given the class probabilities of some 1,000 images after another, in their order, where the extractor has them. */
  readonly onProbabilities?: ((probabilities: Matrix) => void) | undefined;
  /** A folder for the features, some 1,000 images a file: what was stopped goes on from there. */
  readonly folder?: string | undefined;
  readonly algebra?: LinearAlgebra | undefined;
  /** Told after every batch. */
  readonly onProgress?: ((done: number, images: number) => void) | undefined;
}

/** The features of some images. */
export interface Features {
  readonly statistics: FeatureStatistics & { readonly count: number };
  /** The SHA-256 of the images' bytes; null for samples that went on from an earlier run. */
  readonly sha256: string | null;
  /** One image a row, where they were to be kept. */
  readonly features: Matrix | null;
}

/** Features [n, d] of some images, and their probabilities [n, classes]. */
interface Block {
  readonly features: Float32Array;
  readonly probabilities: Float32Array | null;
}

/**
 * The features of all images of a source, with their mean and covariance in float64, summed up block by block. So besides
 * what is kept the memory does not grow with their number.
 * @param sha256 of the images' bytes, where it is known: it tells which files of the folder are theirs.
 * @throws RangeError on fewer than 2 images, other channels than the extractor takes, or features that are not finite.
 */
export async function featuresOf(
  source: ImageSource,
  extractor: Extractor,
  sha256: string | null,
  { batch = 32, keep = false, folder, algebra, onProbabilities, onProgress }: FeatureOptions = {},
): Promise<Features> {
  checkSource(source, extractor);
  checkInteger('batch', batch, 1);
  const { count, data, split } = source;
  const rows = batch * Math.max(1, Math.floor(BLOCK / batch));
  const files = folder === undefined ? undefined : filesOf(folder, { source, extractor, sha256, rows });
  let kept: Float32Array | undefined;
  let sum: Moments | undefined;
  let done = 0;
  const take = (block: Block): void => {
    const own = matrixOf(block.features, Math.min(rows, count - done));
    const bad = block.features.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new RangeError(
        `the features of image ${done + Math.floor(bad / own.columns)} of ${nameOf(source)} are not finite; the extractor ${extractor.extractor} cannot judge it.`,
      );
    sum = sum ? mergeMoments(sum, moments(own, algebra)) : moments(own, algebra);
    if (keep) {
      kept ??= new Float32Array(count * own.columns);
      kept.set(block.features, done * own.columns);
    }
    if (block.probabilities) onProbabilities?.(matrixOf(block.probabilities, own.rows));
    done += own.rows;
  };
  for (let block = await files?.read(0); block; block = await files?.read(done)) {
    take(block);
    onProgress?.(done, count);
    if (done === count) break;
  }
  const hash = done === 0 ? createHash('sha256') : undefined;
  let parts: Block[] = [];
  const rest = async (bytes: Uint8Array): Promise<void> => {
    hash?.update(bytes);
    parts.push(await blockOf(bytes, source, extractor, batch));
    const so = done + (parts.length - 1) * batch + bytes.length / (source.height * source.width * source.channels);
    if (parts.length * batch === rows || so === count) {
      const block = joined(parts);
      await files?.write(done, block);
      take(block);
      parts = [];
    }
    onProgress?.(so, count);
  };
  if (done < count) await readBytes(source, done, batch, rest);
  const { extractor: name, sha256: weights, resize } = extractor;
  return {
    statistics: {
      ...gaussianStatistics(sum as unknown as Moments),
      ...{ count, data, split, origin: { extractor: name, sha256: weights, resize } },
    },
    sha256: sha256 ?? hash?.digest('hex') ?? null,
    features: kept ? matrixOf(kept, count) : null,
  };
}

/** @throws RangeError where the extractor cannot compare these images. */
export function checkSource(source: ImageSource, { extractor, channels, size }: Extractor): void {
  const { count, height, width } = source;
  if (count < 2) throw new RangeError(`${nameOf(source)} has ${count} images; a covariance needs at least 2.`);
  if (source.channels !== channels)
    throw new RangeError(
      `the images of ${nameOf(source)} have ${channelsOf(source.channels)}; ${extractor} takes ${channelsOf(channels)}. Convert them.`,
    );
  if (size && (size.height !== height || size.width !== width))
    throw new RangeError(
      `the images of ${nameOf(source)} have ${height}×${width} pixels; ${extractor} takes ${size.height}×${size.width} and resizes none. Resize them by one rule.`,
    );
}

const channelsOf = (channels: number): string =>
  channels === 1 ? '1 channel (grey)' : `${channels} channels${channels === 3 ? ' (colours)' : ''}`;

/** The SHA-256 of all bytes of a source, each of which is read and checked. */
export async function hashOfImages(source: ImageSource): Promise<string> {
  const hash = createHash('sha256');
  await readBytes(source, 0, BLOCK, async (bytes) => void hash.update(bytes));
  return hash.digest('hex');
}

const matrixOf = (data: Float32Array, rows: number): Matrix & { readonly data: Float32Array } => ({
  ...{ data, rows, columns: data.length / rows },
});

function joined(blocks: readonly Block[]): Block {
  const together = (of: (block: Block) => Float32Array): Float32Array => {
    const all = new Float32Array(blocks.reduce((sum, block) => sum + of(block).length, 0));
    blocks.reduce((at, block) => {
      all.set(of(block), at);
      return at + of(block).length;
    }, 0);
    return all;
  };
  const none = new Float32Array(0);
  const known = blocks.length > 0 && blocks.every(({ probabilities }) => probabilities);
  return {
    features: together(({ features }) => features),
    probabilities: known ? together(({ probabilities }) => probabilities ?? none) : null,
  };
}

/** Runs the network. Every batch has the same size, so one graph serves all; the last is filled up with grey. */
async function blockOf(bytes: Uint8Array, source: ImageSource, extractor: Extractor, batch: number): Promise<Block> {
  const { height, width, channels } = source;
  const each = height * width * channels;
  const n = bytes.length / each;
  const unit = new Float32Array(batch * each);
  unit.set(toUnit(bytes));
  const images = tensor4d(unit, [batch, height, width, channels]);
  let found: Found | undefined;
  try {
    found = await extractor.read(images);
    const { features, probabilities } = found;
    const first = async (of: Tensor2D): Promise<Float32Array> => (await of.data<'float32'>()).slice(0, n * of.shape[1]);
    return { features: await first(features), probabilities: probabilities && (await first(probabilities)) };
  } finally {
    dispose([images, ...Object.values(found ?? {}).filter((tensor) => tensor !== null)]);
  }
}

interface Files {
  /** The block that begins at an image, where it is there and sound. */
  read(first: number): Promise<Block | undefined>;
  write(first: number, block: Block): Promise<void>;
}

/** Blocks in files, whose names say what they are of. */
function filesOf(
  folder: string,
  of: { source: ImageSource; extractor: Extractor; sha256: string | null; rows: number },
): Files {
  const { source, extractor, rows } = of;
  const { count, height, width } = source;
  const made = [of.sha256 ?? nameOf(source), count, height, width, extractor.sha256, extractor.resize, rows];
  const key = createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 16);
  const path = (first: number) => join(folder, `${key}-${String(first).padStart(7, '0')}.safetensors`);
  return {
    async read(first) {
      try {
        return await withSafetensors(path(first), async ({ entries, checked, values }) => {
          if (!checked) throw new DamagedFile(`${path(first)} has no checksum`);
          const of = async (name: string) => (await values({ name })) as Float32Array;
          const known = entries.some(({ name }) => name === 'probabilities');
          return { features: await of('features'), probabilities: known ? await of('probabilities') : null };
        });
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' && !(error instanceof DamagedFile)) throw error;
        if (error instanceof DamagedFile) say(`${error.message}; it is made anew`);
        return undefined;
      }
    },
    async write(first, { features, probabilities }) {
      const n = Math.min(rows, count - first);
      const arrays = Object.entries({ features, ...(probabilities ? { probabilities } : {}) });
      const headings = arrays.map(([name, { length }]) => ({ name, dtype: 'F32' as const, shape: [n, length / n] }));
      const bytes = async function* () {
        for (const [, { buffer, byteOffset, byteLength }] of arrays)
          yield new Uint8Array(buffer, byteOffset, byteLength);
      };
      await makeFolder(folder);
      await replaceFile(path(first), safetensorsPieces(headings, { images: nameOf(source) }, bytes()));
    },
  };
}
