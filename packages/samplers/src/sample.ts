import {
  type Cost,
  checkInteger,
  checkShape,
  fold,
  inTurn,
  type Key,
  type Model,
  type ModelLike,
  normal,
  toModel,
} from '@logsnr/core';
import { clone, fill, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { checkRenoise, type Predict, type Sampler } from './sampler.js';
import {
  type Advance,
  type AsyncSteps,
  copy,
  follow,
  followAsync,
  type Path,
  pointsOf,
  type Step,
  type Steps,
} from './walk.js';

export interface SampleOptions<C, S> {
  /** The model, guided or not; or a plain ε-function. */
  model: ModelLike<C>;
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
 * The yielded `z` is borrowed: clone it to keep it. Breaking off early leaks nothing. Each step says what its calls of the model
 * cost. The model is told the λ of each call beforehand (`Model.at`), so a guided one makes a single prediction where w(λ) is 0.
 * @throws RangeError on a grid that does not increase strictly, an `end` below it, a bad shape or `firstSample`, and
 *   TypeError when the model gives a second ε̂ to renoise with and the sampler does not use it, before any work.
 */
export const trajectory = <C, S>(options: SampleOptions<C, S>): Steps =>
  drawn(options, (model, condition) => eagerly(model, condition, options.sampler));

/** The samples at the end of {@link trajectory}: x of `shape` (or z at a finite `end`), owned by the caller. */
export const sample = <C, S>(options: SampleOptions<C, S>): Tensor => lastOf(trajectory(options));

/** z after the last of some steps; the caller's. */
export function lastOf(steps: Iterable<Step>): Tensor {
  let x: Tensor | undefined;
  for (const { z, step, steps: count } of steps) if (step === count) x = clone(z);
  return x as Tensor;
}

/**
 * {@link trajectory} for a model that is `deferred`: its network answers by a promise, as one that another library runs does. Between its
 * answers the event loop goes on. A step is a pure function and is run again for each answer, so all samplers and guidance methods
 * work as they are, and the samples are those of `trajectory` with the same network, bit for bit. Also for any other model.
 */
export const trajectoryAsync = <C, S>(options: SampleOptions<C, S>): AsyncSteps =>
  followAsync(...pathOf(options, (model, condition) => eagerly(model, condition, options.sampler)));

/** The samples at the end of {@link trajectoryAsync}, owned by the caller. */
export async function sampleAsync<C, S>(options: SampleOptions<C, S>): Promise<Tensor> {
  let x: Tensor | undefined;
  for await (const { z, step, steps } of trajectoryAsync(options)) if (step === steps) x = clone(z);
  return x as Tensor;
}

/** Checks the options and gives the steps, each made by what `engine` returns. */
export const drawn = <C, S>(
  options: SampleOptions<C, S>,
  engine: (model: Model<C>, condition: C) => Advance<S, Tensor>,
): Steps => follow(...pathOf(options, engine));

function pathOf<C, S>(
  options: SampleOptions<C, S>,
  engine: (model: Model<C>, condition: C) => Advance<S, Tensor>,
): Path<S, Tensor> {
  const { condition, sampler, shape, key, firstSample = 0, z } = options;
  const model = toModel(options.model);
  const points = pointsOf(options.lambdas, options.end);
  checkRenoise(model.gives, sampler);
  checkInteger('firstSample', firstSample);
  for (const [i, size] of shape.entries()) checkInteger(`shape[${i}]`, size, 1);
  if (z) checkShape('z', z, shape);
  const draw = (...purpose: number[]) => normal(fold(key, ...purpose), shape, firstSample);
  const first = () => {
    const start = z ? copy(z) : firstNoise(key, shape, firstSample);
    const memory = model.start(shape[0] as number, shape.slice(1));
    return { z: start, state: sampler.init(start, points), memory };
  };
  return [engine(model, condition), first, draw, points];
}

/** z_1 ~ N(0, I) where no other is given. */
export const firstNoise = (key: Key, shape: readonly number[], firstSample: number): Tensor =>
  normal(fold(key, 0, 0), shape, firstSample);

/** Steps operation by operation. */
export function eagerly<C, S>(model: Model<C>, condition: C, sampler: Sampler<S>): Advance<S, Tensor> {
  return (place, carried) => {
    const costs: Cost[] = [];
    let memory = carried.memory;
    const predict: Predict = (z, lambda) => {
      const there = model.at(lambda);
      costs.push(there.cost(lambda));
      const spread = fill([z.shape[0] as number], lambda) as Tensor1D;
      const { memory: next, ...estimate } = there.predict(z, spread, condition, memory);
      memory = next;
      return estimate;
    };
    const { z, state } = sampler.step({ ...place, predict }, carried.state);
    return { z, state, memory, cost: inTurn(...costs) };
  };
}
