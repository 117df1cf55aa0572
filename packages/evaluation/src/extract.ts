import { checkInteger } from '@logsnr/core';
import { batch as batchOf, type ImageSet } from '@logsnr/data';
import type { Matrix } from '@logsnr/metrics';
import { dispose, slice, softmax, Tensor, type Tensor2D, type Tensor4D, tidy } from '@tensorflow/tfjs-core';
import type { Found } from './extractor.js';

/**
 * A classifier of images [n, height, width, channels] with its weights: features [n, d], and logits or probabilities [n, classes].
 * The `read` of a `DirectExtractor` is one.
 */
export type Classify = (images: Tensor4D) => { readonly features: Tensor2D; readonly logits: Tensor2D } | Found;

export interface ExtractOptions {
  /** Images at once; 250 unless given. It changes no result. */
  readonly batch?: number | undefined;
  /** Told after every batch. */
  readonly onProgress?: ((done: number, images: number) => void) | undefined;
}

/** What a classifier says of n images, one a row: what `@logsnr/metrics` takes. */
export interface Extracted {
  /** [n, d]. */
  readonly features: Matrix;
  /** [n, classes]; of logits, their softmax. */
  readonly probabilities: Matrix;
}

/**
 * Features and class probabilities of many images, batch after batch. Only one batch is on the device at a time when the
 * images come as a set of bytes.
 * @param images in [−1, 1], borrowed; or a set, which is read in its order.
 * @throws RangeError on no images, a batch below 1, or a network that gives no probabilities.
 */
export async function extract(
  network: Classify,
  images: Tensor4D | ImageSet,
  { batch = 250, onProgress }: ExtractOptions = {},
): Promise<Extracted> {
  const count = images instanceof Tensor ? images.shape[0] : images.count;
  checkInteger('the number of images', count, 1);
  checkInteger('batch', batch, 1);
  const features: number[] = [];
  const probabilities: number[] = [];
  for (let first = 0; first < count; first += batch) {
    const n = Math.min(batch, count - first);
    const found = tidy(() => {
      const part = images instanceof Tensor ? slice(images, first, n) : batchOf(images, range(first, n)).images;
      const given = network(part);
      return { features: given.features.clone(), probabilities: probabilitiesOf(given) };
    });
    try {
      for (const value of await found.features.data<'float32'>()) features.push(value);
      for (const value of await found.probabilities.data<'float32'>()) probabilities.push(value);
    } finally {
      dispose(found);
    }
    onProgress?.(first + n, count);
  }
  const matrix = (data: number[]): Matrix => ({ data, rows: count, columns: data.length / count });
  return { features: matrix(features), probabilities: matrix(probabilities) };
}

function probabilitiesOf(given: ReturnType<Classify>): Tensor2D {
  if ('logits' in given) return softmax(given.logits);
  if (!given.probabilities) throw new RangeError('the network gives no class probabilities; it is no classifier.');
  return given.probabilities.clone();
}

const range = (first: number, n: number): number[] => Array.from({ length: n }, (_, i) => first + i);
