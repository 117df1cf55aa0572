import {
  type Cost,
  checkInteger,
  checkShape,
  costAt,
  type EpsModel,
  fold,
  inTurn,
  type Key,
  normal,
} from '@logsnr/core';
import { clone, fill, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkSplit, type Eps, type Sampler } from './sampler.js';
import { checkGrid, type Step, walk } from './walk.js';

export interface SampleOptions<C, S> {
  /** The ε-model, guided or not. */
  model: EpsModel<C>;
  /** Conditions of the n samples; borrowed. */
  condition: C;
  sampler: Sampler<S>;
  /** λ_1 < … < λ_T, for example `grid(arctan(), 50)` of `@logsnr/schedules`. */
  lambdas: readonly number[];
  /** Where the last step goes: +∞, clean data, unless given; a finite λ of at least λ_T ends with z there. */
  end?: number | undefined;
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
 * The yielded `z` is borrowed: clone it to keep it. Breaking off early leaks nothing. Each step says what its evaluations of
 * the model cost, as guided models do (`costAt`).
 * @throws RangeError on a grid that does not increase strictly, an `end` below it, a bad shape or `firstSample`, and
 *   TypeError when the model gives ε̂ in two parts that the sampler does not use, before any work.
 */
export function trajectory<C, S>(options: SampleOptions<C, S>): Generator<Step, void> {
  checkGrid(options.lambdas, options.end);
  checkSplit(options.model, options.sampler);
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
    const { eps, spent } = accounted(atOneLambda(model, condition), model);
    for (const step of walk({ eps, sampler, lambdas, end: options.end, z, noise: draw }))
      yield { ...step, cost: spent() };
  } finally {
    z.dispose();
  }
}

/** `eps` that notes what each call costs; `spent` is the sum since it was last asked, undefined without a call. */
function accounted<C>(eps: Eps, model: EpsModel<C>): { eps: Eps; spent: () => Cost | undefined } {
  let costs: Cost[] = [];
  const noted: Eps = (z, lambda) => {
    costs.push(costAt(model, lambda));
    return eps(z, lambda);
  };
  const { split } = eps;
  if (split)
    noted.split = (z, lambda) => {
      costs.push(costAt(model, lambda));
      return split(z, lambda);
    };
  const spent = () => {
    const sum = costs.length > 0 ? inTurn(...costs) : undefined;
    costs = [];
    return sum;
  };
  return { eps: noted, spent };
}

/** A model as a step sees it: the whole batch at one λ, its conditions given. */
export function atOneLambda<C>(model: EpsModel<C>, condition: C): Eps {
  const spread = (z: Tensor, lambda: number) => fill([z.shape[0] as number], lambda) as Tensor1D;
  const eps: Eps = (z, lambda) => tidy(() => model(z, spread(z, lambda), condition));
  const { split } = model;
  if (split) eps.split = (z, lambda) => tidy(() => ({ ...split(z, spread(z, lambda), condition) }));
  return eps;
}

/** The samples at the end of {@link trajectory}: x of `shape` (or z at a finite `end`), owned by the caller. */
export function sample<C, S>(options: SampleOptions<C, S>): Tensor {
  let x: Tensor | undefined;
  for (const { z, step, steps } of trajectory(options)) if (step === steps) x = clone(z);
  return x as Tensor;
}
