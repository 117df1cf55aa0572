import { checkShape } from '@logsnr/core';
import { add, mul, split, type Tensor } from '@tensorflow/tfjs-core';

/** Whether the raw output of a network holds a learned variance. */
export interface OutputOptions {
  /**
   * `range`: the output has twice z's channels. Their second half is r. v = (r + 1)/2 is the exponent between the smallest
   * and the largest variance (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15; ADM's `LEARNED_RANGE`).
   */
  variance?: 'range' | undefined;
}

/** The prediction, and the variance's exponent, in a raw output. Call it within a tidy. */
export function readOutput(
  raw: Tensor,
  z: Tensor,
  { variance }: OutputOptions,
): Tensor | { output: Tensor; variance: Tensor } {
  if (variance === undefined) return raw;
  if (variance !== 'range') throw new RangeError(`variance is "${variance}"; it must be "range", or be left out.`);
  const channels = z.shape[z.rank - 1] as number;
  checkShape("the network's output, with a learned variance,", raw, [...z.shape.slice(0, -1), 2 * channels]);
  const [output, range] = split(raw, 2, z.rank - 1) as [Tensor, Tensor];
  return { output, variance: mul(add(range, 1), 0.5) };
}
