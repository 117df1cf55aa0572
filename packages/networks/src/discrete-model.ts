import { checkShape, type Model } from '@logsnr/core';
import type { DiscreteTimes } from '@logsnr/schedules';
import {
  clipByValue,
  div,
  expandDims,
  round,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';
import { type BindOptions, modelOf } from './bind.js';

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
  { round = false, ...options }: DiscreteModelOptions = {},
): Model<C> {
  const timeOf = tensorTimeOf(times, round);
  return modelOf((z, lambda, condition) => model(z, timeOf(lambda), condition), options);
}

/**
 * t(λ) = Σ_i clip((λ_i − λ)/(λ_i − λ_{i+1}), 0, 1). An interval of the table that λ has passed counts 1, and the interval
 * that λ is in counts its share. At the table's own λ, in float32, each quotient is exactly 0 or 1, so t is exactly whole.
 */
function tensorTimeOf(times: DiscreteTimes, whole: boolean): (lambda: Tensor1D) => Tensor1D {
  const table = Float32Array.from(times.lambdas);
  const widths = table.subarray(0, -1).map((lambda, i) => lambda - (table[i + 1] as number));
  if (widths.some((width) => !(width > 0)))
    throw new RangeError('two neighbouring times have the same λ in float32; leave one of them out.');
  return (lambda) =>
    tidy(() => {
      checkShape('lambda', lambda, [null]);
      const passed = sub(tensor1d(table.subarray(0, -1)), expandDims(lambda, 1));
      const t = sum(clipByValue(div(passed, tensor1d(widths)), 0, 1), 1);
      return (whole ? round(t) : t) as Tensor1D;
    });
}
