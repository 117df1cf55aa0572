import { type Cost, checkShape, type Model, type Prediction, readModel } from '@logsnr/core';
import type { Network, Parameters } from '@logsnr/nn';
import { add, mul, split, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';

/** What the raw output of a bound network stands for, and what a call of it costs. */
export interface BindOptions {
  /** Default `eps`. */
  prediction?: Prediction | undefined;
  /** Default one call. */
  cost?: Cost | undefined;
  /**
   * `range`: the output has twice z's channels. Their second half is r. v = (r + 1)/2 is the exponent between the smallest
   * and the largest variance (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15; ADM's `LEARNED_RANGE`).
   */
  variance?: 'range' | undefined;
}

/** The model of a function to raw outputs. */
export const modelOf = <C>(
  raw: (z: Tensor, lambda: Tensor1D, condition: C) => Tensor,
  { prediction, cost, variance }: BindOptions,
): Model<C> =>
  readModel<C>((z, lambda, condition) => readOutput(raw(z, lambda, condition), z, variance), {
    prediction,
    cost,
    variance: variance !== undefined,
  });

/** The model that a network with these parameters (borrowed) is. */
export const bind = <C>(network: Network<C>, parameters: Parameters, options: BindOptions = {}): Model<C> =>
  modelOf((z, lambda, condition) => network.apply(parameters, { z, lambda, condition }), options);

/** The prediction, and the variance's exponent, in a raw output. Call it within a tidy. */
function readOutput(
  raw: Tensor,
  z: Tensor,
  variance: BindOptions['variance'],
): Tensor | { output: Tensor; variance: Tensor } {
  if (variance === undefined) return raw;
  if (variance !== 'range') throw new RangeError(`variance is "${variance}"; it must be "range", or be left out.`);
  const channels = z.shape[z.rank - 1] as number;
  checkShape("the network's output, with a learned variance,", raw, [...z.shape.slice(0, -1), 2 * channels]);
  const [output, range] = split(raw, 2, z.rank - 1) as [Tensor, Tensor];
  return { output, variance: mul(add(range, 1), 0.5) };
}
