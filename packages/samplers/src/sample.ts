import { checkIncreasing, checkInteger, checkShape, type EpsModel, fold, type Key, normal } from '@logsnr/core';
import { clone, fill, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import type { Sampler } from './sampler.js';
import { type Step, walk } from './walk.js';

export interface SampleOptions<C, S> {
  /** The ε-model, guided or not. */
  model: EpsModel<C>;
  /** Conditions of the n samples; borrowed. */
  condition: C;
  sampler: Sampler<S>;
  /** λ_1 < … < λ_T, for example `grid(arctan(), 50)` of `@logsnr/schedules`. */
  lambdas: readonly number[];
  /** Shape of the samples, [n, …]. */
  shape: readonly number[];
  /** All noise is a function of this key, the sample's number and the step. */
  key: Key;
  /** Number of the first sample in its run (0): a run split into batches gives the samples of the whole. */
  firstSample?: number;
  /** Start from this z at λ_1 instead of from noise; borrowed. */
  z?: Tensor;
}

/**
 * Samples along the grid, yielding after every step (Ho & Salimans 2022, Algorithm 2). z_1 ~ N(0, I) unless given.
 * The yielded `z` is borrowed: clone it to keep it. Breaking off early leaks nothing.
 * @throws RangeError on a grid that does not increase strictly, a bad shape or `firstSample`, before any work.
 */
export function trajectory<C, S>(options: SampleOptions<C, S>): Generator<Step, void> {
  checkIncreasing(options.lambdas);
  checkInteger('firstSample', options.firstSample ?? 0);
  options.shape.forEach((size, i) => {
    checkInteger(`shape[${i}]`, size, 1);
  });
  if (options.z) checkShape('z', options.z, options.shape);
  return run(options);
}

function* run<C, S>(options: SampleOptions<C, S>): Generator<Step, void> {
  const { model, condition, sampler, lambdas, shape, key, firstSample = 0 } = options;
  const draw = (...purpose: number[]) => normal(fold(key, ...purpose), shape, firstSample);
  const z = options.z?.clone() ?? draw(0, 0);
  try {
    yield* walk({
      eps: (z, lambda) => tidy(() => model(z, fill([z.shape[0] as number], lambda) as Tensor1D, condition)),
      sampler,
      lambdas,
      z,
      noise: draw,
    });
  } finally {
    z.dispose();
  }
}

/** The samples at the end of {@link trajectory}: x of `shape`, owned by the caller. */
export function sample<C, S>(options: SampleOptions<C, S>): Tensor {
  let x: Tensor | undefined;
  for (const { z, step, steps } of trajectory(options)) if (step === steps) x = clone(z);
  return x as Tensor;
}
