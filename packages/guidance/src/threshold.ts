import { checkInteger, checkWithin, derive, type Model, type ModelLike, perSample, toModel } from '@logsnr/core';
import {
  abs,
  add,
  clipByValue,
  div,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  slice,
  sub,
  Tensor,
  type Tensor1D,
  tidy,
  topk,
} from '@tensorflow/tfjs-core';
import { moved } from './rule.js';

/**
 * Brings x̂ within bounds: a tensor of shape [samples, …], or float64 numbers, one sample after the other. Returns a new
 * value, which the caller owns.
 */
export type Threshold = <V extends Tensor | Float64Array>(x: V, samples: number) => V;

/** Clips to [low, high] ("static thresholding", Saharia et al. 2022, arXiv 2205.11487, section 2.3). */
export function staticThreshold(low = -1, high = 1): Threshold {
  if (!(low < high)) throw new RangeError(`the bounds are [${low}, ${high}]; the first must be below the second.`);
  return onEither(
    (x) => clipByValue(x, low, high),
    (x) => x.map((value) => Math.min(Math.max(value, low), high)),
  );
}

/**
 * "Dynamic thresholding" (Saharia et al. 2022, arXiv 2205.11487, section 2.3): of every sample, with q the quantile
 * `ratio` of |x̂| and s = max(1, q), but at most `maxValue`, x̂ is clipped to [−s, s] and divided by s. The quantile lies
 * on the straight line between the two values next to it.
 * @throws RangeError unless `ratio` is in [0, 1] and `maxValue` above 0.
 */
export function dynamicThreshold({
  ratio = 0.995,
  maxValue = Number.POSITIVE_INFINITY,
}: {
  ratio?: number | undefined;
  maxValue?: number | undefined;
} = {}): Threshold {
  checkWithin('ratio', ratio, 0, 1);
  if (!(maxValue > 0)) throw new RangeError(`maxValue is ${maxValue}; it must be above 0.`);
  return onEither(
    (x, samples) => {
      const q = quantileOfTensor(reshape(abs(x), [samples, -1]), ratio);
      const s = perSample(minimum(maximum(q, 1), maxValue) as Tensor1D, x);
      return div(minimum(maximum(x, neg(s)), s), s);
    },
    (x) => {
      const s = Math.min(Math.max(quantileOfNumbers(x.map(Math.abs).sort(), ratio), 1), maxValue);
      return x.map((value) => Math.min(Math.max(value, -s), s) / s);
    },
  );
}

/**
 * The model whose x̂ is brought within bounds, and ε̂ with it: x' = threshold(x̂), ε' = ε̂ + (x̂ − x') α/σ. Where x̂ stays as it is, so
 * does ε̂.
 * @param keepEps whether a step renoises with the model's own ε̂ instead of ε' (as HF diffusers does), for the samplers that use
 *   it. A model that gives a second ε̂ to renoise with keeps it in any case.
 */
export function thresholdX<C>(
  model: ModelLike<C>,
  threshold: Threshold,
  { keepEps = false }: { keepEps?: boolean } = {},
): Model<C> {
  return derive<[Model<C>], C>([toModel(model)], ([inner]) => ({
    predict(z, lambda, condition, before) {
      const { x, eps, renoise, variance, memory } = inner.predict(z, lambda, condition, before);
      const bounded = moved({ x, eps }, 'x', threshold(x, x.shape[0] as number), x, z, lambda);
      return { ...bounded, renoise: renoise ?? (keepEps ? eps : null), variance, memory };
    },
    cost: inner.cost,
    gives: { renoise: inner.gives.renoise || keepEps, variance: inner.gives.variance },
    start: inner.start,
  }));
}

/** The model whose x̂ is clipped to [low, high]: {@link thresholdX} with {@link staticThreshold}. */
export const clipX = <C>(model: ModelLike<C>, low = -1, high = 1): Model<C> =>
  thresholdX(model, staticThreshold(low, high));

/** A threshold from what it does to a tensor of n samples and to the numbers of one. */
function onEither(
  tensor: (x: Tensor, samples: number) => Tensor,
  numbers: (x: Float64Array) => Float64Array,
): Threshold {
  return <V extends Tensor | Float64Array>(x: V, samples: number): V => {
    if (x instanceof Tensor) return tidy(() => tensor(x, samples)) as V;
    checkInteger('samples', samples, 1);
    const size = x.length / samples;
    checkInteger('the numbers of a sample', size, 1);
    const result = new Float64Array(x.length);
    for (let i = 0; i < x.length; i += size) result.set(numbers(x.slice(i, i + size)), i);
    return result as V;
  };
}

/** Where the quantile lies among n sorted values: `weight` of the way from number `below` to the next. */
function rank(ratio: number, n: number): { below: number; weight: number } {
  const exact = ratio * (n - 1);
  const below = Math.floor(exact);
  return { below, weight: exact - below };
}

function quantileOfNumbers(sorted: Float64Array, ratio: number): number {
  const { below, weight } = rank(ratio, sorted.length);
  const low = sorted[below] as number;
  return weight === 0 ? low : low + weight * ((sorted[below + 1] as number) - low);
}

/** The quantile of every row of [samples, n]: [samples]. */
function quantileOfTensor(rows: Tensor, ratio: number): Tensor {
  const [samples, n] = rows.shape as [number, number];
  const { below, weight } = rank(ratio, n);
  // Only the largest are sorted, the largest first.
  const { values } = topk(rows, n - below);
  const at = (i: number) => reshape(slice(values, [0, n - 1 - i], [samples, 1]), [samples]);
  return weight === 0 ? at(below) : add(at(below), mul(sub(at(below + 1), at(below)), weight));
}
