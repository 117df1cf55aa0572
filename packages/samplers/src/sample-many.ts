import { checkInteger, free } from '@logsnr/core';
import { concat, type Tensor } from '@tensorflow/tfjs-core';
import type { CompiledSampler, DrawOptions } from './compile-sampler.js';

export interface SampleManyOptions<C> extends Omit<DrawOptions<C>, 'condition' | 'shape' | 'firstSample' | 'z'> {
  /** What draws: a sampler and a model, compiled or not. */
  readonly draw: Pick<CompiledSampler<C>, 'sample'>;
  /** How many samples. */
  readonly samples: number;
  /** Shape of one of them. */
  readonly shape: readonly number[];
  /** Conditions of `n` samples from number `first` on; freed after their batch. */
  readonly condition: (first: number, n: number) => C;
  /** Samples at once; 100 unless given. */
  readonly batch?: number | undefined;
  /** Told after every batch. */
  readonly onProgress?: ((done: number, samples: number) => void) | undefined;
}

/**
 * Many samples, batch after batch: [samples, …], the caller's. Sample i is the same whatever the batch.
 * @throws RangeError unless `samples` and `batch` are positive integers.
 */
export function sampleMany<C>(options: SampleManyOptions<C>): Tensor {
  const { draw, samples, shape, condition, batch = 100, onProgress, ...rest } = options;
  checkInteger('samples', samples, 1);
  checkInteger('batch', batch, 1);
  const parts: Tensor[] = [];
  try {
    for (let firstSample = 0; firstSample < samples; firstSample += batch) {
      const n = Math.min(batch, samples - firstSample);
      const given = condition(firstSample, n);
      try {
        parts.push(draw.sample({ ...rest, condition: given, shape: [n, ...shape], firstSample }));
      } finally {
        free(given);
      }
      onProgress?.(firstSample + n, samples);
    }
    return concat(parts);
  } finally {
    free(parts);
  }
}
