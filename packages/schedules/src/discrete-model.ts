import { checkShape, type Model, type Prediction, readModel } from '@logsnr/core';
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
import type { DiscreteTimes } from './discrete.js';

/** A discrete-time model: z [n, …], times [n] (float32, 0 … T − 1) and n conditions to an output of z's shape. */
export type DiscreteModel<C> = (z: Tensor, t: Tensor1D, condition: C) => Tensor;

/**
 * The model of a pre-trained discrete-time DDPM that predicts ε, x or v (Ho et al. 2020, arXiv 2006.11239), for
 * any sampler and grid: λ becomes the model's time by {@link DiscreteTimes.timeOf}, on tensors, so that the whole can be
 * compiled. A λ beyond the model's own gets its nearest time.
 *
 * @param round whether to give the model the nearest whole time, for one that looks times up in a table.
 */
export function discreteModel<C>(
  model: DiscreteModel<C>,
  times: DiscreteTimes,
  { prediction = 'eps', round = false }: { prediction?: Prediction; round?: boolean } = {},
): Model<C> {
  const timeOf = tensorTimeOf(times, round);
  return readModel((z, lambda, condition) => tidy(() => model(z, timeOf(lambda), condition)), { prediction });
}

/**
 * t(λ) = Σ_i clip((λ_i − λ)/(λ_i − λ_{i+1}), 0, 1): each interval of the table that λ has passed counts one, the one it
 * is in its share. At the table's own λ, in float32, each quotient is 0 or 1 exactly, and so is the sum.
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
