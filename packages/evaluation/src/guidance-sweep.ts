import { checkFinite, checkInteger } from '@logsnr/core';
import { clipByValue, slice, type Tensor, type Tensor4D } from '@tensorflow/tfjs-core';
import type { Judge, Scores } from './judge.js';

/** What one guidance weight gives. */
export interface SweepRow extends Scores {
  readonly w: number;
  /** Of drawing the samples. */
  readonly seconds: number;
  /** The first samples, in the order of their numbers: values in [−1, 1] and their shape. */
  readonly shown: { readonly data: Float32Array; readonly shape: Tensor4D['shape'] };
}

/** How far a sweep is. */
export interface SweepProgress {
  /** The weight under way. */
  readonly w: number;
  /** How much of all weights is drawn, in [0, 1]. */
  readonly fraction: number;
  /** At the pace so far. */
  readonly secondsLeft: number;
}

export interface SweepOptions {
  /** The guidance weights, in the order of the rows. */
  readonly weights: readonly number[];
  /**
   * Samples at w: images [n, height, width, channels], which the sweep frees. For a fair comparison they begin with the same
   * noise at every w; `sampleMany` of `@logsnr/samplers` draws them, and takes `onProgress` as it is.
   */
  readonly draw: (w: number, onProgress: (done: number, samples: number) => void) => Tensor | Promise<Tensor>;
  readonly judge: Judge;
  /** What each of the n samples should show. */
  readonly labels: ArrayLike<number>;
  /** How many samples a row shows; 40 unless given, or as many as there are. */
  readonly shown?: number;
  /** Told whenever `draw` tells its progress. */
  readonly onProgress?: ((progress: SweepProgress) => void) | undefined;
  /** Told after every weight. The images, clipped to [−1, 1], are borrowed. */
  readonly onRow?: ((row: SweepRow, images: Tensor4D) => void | Promise<void>) | undefined;
}

/**
 * Draws samples at each guidance weight and judges them: the experiment of Ho & Salimans 2022 (arXiv 2207.12598), section
 * 4. As w grows the Inception Score rises, and the Fréchet distance falls and then rises.
 * @throws RangeError, before any drawing, on no weights, one that is not finite, or no labels.
 */
export async function guidanceSweep(options: SweepOptions): Promise<SweepRow[]> {
  const { weights, draw, judge, labels, shown = 40, onProgress, onRow } = options;
  checkInteger('the number of weights', weights.length, 1);
  checkInteger('the number of labels', labels.length, 1);
  checkInteger('shown', shown, 1);
  for (const [i, w] of weights.entries()) checkFinite(`weights[${i}]`, w);
  const rows: SweepRow[] = [];
  const started = performance.now();
  for (const w of weights) {
    const began = performance.now();
    const drawn = await draw(w, (done, samples) => {
      const fraction = (rows.length + done / samples) / weights.length;
      onProgress?.({ w, fraction, secondsLeft: ((performance.now() - started) / 1000) * (1 / fraction - 1) });
    });
    const seconds = (performance.now() - began) / 1000;
    const images = clipByValue(drawn, -1, 1) as Tensor4D;
    drawn.dispose();
    try {
      const scores = await judge.score(images, labels);
      const row = { w, ...scores, seconds, shown: await firstOf(images, shown) };
      rows.push(row);
      await onRow?.(row, images);
    } finally {
      images.dispose();
    }
  }
  return rows;
}

async function firstOf(images: Tensor4D, count: number): Promise<SweepRow['shown']> {
  const first = slice(images, 0, Math.min(count, images.shape[0]));
  try {
    return { data: await first.data<'float32'>(), shape: first.shape };
  } finally {
    first.dispose();
  }
}
