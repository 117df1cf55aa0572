import type { Model } from '@logsnr/core';
import type { DiscreteTimes } from '@logsnr/schedules';
import { round, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { type BindOptions, modelOf } from './bind.js';
import { timeOf } from './time-of.js';

/** A discrete-time model: z [n, …], times [n] (float32, 0 … T − 1) and n conditions to its raw output. */
export type DiscreteModel<C> = (z: Tensor, t: Tensor1D, condition: C) => Tensor;

export interface DiscreteModelOptions extends BindOptions {
  /** Round the time to a whole one, for a model that looks times up in a table. Default false. */
  round?: boolean | undefined;
}

/**
 * The model of a pre-trained discrete-time DDPM (Ho et al. 2020, arXiv 2006.11239), for any sampler and grid. It predicts ε,
 * x or v. λ becomes the model's time by {@link DiscreteTimes.timeOf}, on tensors, so the whole can be compiled. A λ beyond
 * the model's own gets its nearest time.
 * @throws RangeError when two neighbouring times have the same λ in float32.
 */
export function discreteModel<C>(
  model: DiscreteModel<C>,
  times: DiscreteTimes,
  { round: whole = false, ...options }: DiscreteModelOptions = {},
): Model<C> {
  const time = timeOf(times);
  const t = (lambda: Tensor1D) => (whole ? round(time(lambda)) : time(lambda));
  return modelOf((z, lambda, condition) => model(z, t(lambda), condition), options);
}
