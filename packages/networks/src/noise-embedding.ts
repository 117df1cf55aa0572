import { checkChoice, checkKnown } from '@logsnr/core';
import {
  lambdaFeatures,
  linear,
  type Module,
  module,
  ops,
  type TimeFeatures,
  timeFeatures,
  type WeightOptions,
} from '@logsnr/nn';
import { cosineBetas, type DiscreteTimes, discrete, linearBetas, scaledLinearBetas } from '@logsnr/schedules';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { timeOf } from './time-of.js';

/** The times on which a network was trained, 0 … steps − 1, and how it embeds them. */
export interface TimeOptions extends TimeFeatures {
  /** β_0 … β_{T−1}, or whose they are: Ho et al.'s, Nichol & Dhariwal's or Stable Diffusion's, see `@logsnr/schedules`. */
  readonly betas: 'linear' | 'cosine' | 'scaled-linear' | readonly number[];
  /** T. Default 1000, or as many as there are `betas`. */
  readonly steps?: number | undefined;
}

const named = { linear: linearBetas, cosine: cosineBetas, 'scaled-linear': scaledLinearBetas };

/**
 * The table of λ of a network's times.
 * @throws RangeError on an option that is unknown or does not fit.
 */
export function timesOf(time: TimeOptions): DiscreteTimes {
  checkKnown('time', time, ['betas', 'steps', 'first', 'shift']);
  const { betas, steps, first = 'cos', shift = 0 } = time;
  checkChoice('time.first', first, ['cos', 'sin']);
  if (shift !== 0 && shift !== 1) throw new RangeError(`time.shift is ${shift}; it must be 0 or 1.`);
  if (typeof betas === 'string') {
    checkChoice('time.betas', betas, ['linear', 'cosine', 'scaled-linear']);
    return discrete(named[betas](steps === undefined ? {} : { steps }));
  }
  if (steps !== undefined && steps !== betas.length)
    throw new RangeError(`time.steps is ${steps}, but there are ${betas.length} betas; leave steps out.`);
  return discrete(betas);
}

/**
 * An embedding of the noise level, λ [n] → [n, size]: its `features` sines and cosines, a linear map, SiLU and a linear map.
 * The sines and cosines are those of λ or, with `time`, those of t(λ).
 * @throws RangeError on a `time` that is none.
 */
export function noiseEmbedding(
  time: TimeOptions | undefined,
  features: number,
  size: number,
  start: WeightOptions = {},
): Module<Tensor1D, Tensor2D> {
  const parts = { linear1: linear(features, size, start), linear2: linear(size, size, start) };
  const t = time && timeOf(timesOf(time));
  if (time?.shift === 1 && features < 4)
    throw new RangeError(`there are ${features} features; with time.shift 1 there must be at least 4.`);
  return module(parts, ({ linear1, linear2 }, lambda: Tensor1D) => {
    const waves = t ? timeFeatures(t(lambda), features, time) : lambdaFeatures(lambda, features);
    return linear2(ops.silu(linear1(waves))) as Tensor2D;
  });
}
