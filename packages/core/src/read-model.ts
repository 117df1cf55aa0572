import { add, div, mul, reshape, sub, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkShape } from './check.js';
import { type Cost, ONE_CALL } from './cost.js';
import { alphaSigma } from './log-snr.js';
import {
  checked,
  defineModel,
  type EpsFunction,
  type Estimate,
  type Model,
  type ModelLike,
  withCondition,
} from './model.js';
import { checkPrediction, type Prediction } from './parametrization.js';

/** What a network's output stands for, and what it costs. */
export interface ReadingOptions {
  /** `eps` unless given. */
  prediction?: Prediction | undefined;
  /** One call unless given. */
  cost?: Cost | undefined;
}

/**
 * The model of a network that predicts ε, x, v = α ε − σ x (Salimans & Ho 2022, arXiv 2202.00512) or the score ∇ log p(z):
 * x̂ and ε̂ each by the closed form that keeps its digits.
 *
 * ε: x̂ = (z − σ ε)/α.  x: ε̂ = (z − α x)/σ.  v: x̂ = α z − σ v, ε̂ = σ z + α v.  score: ε̂ = −σ s, x̂ = (z + σ² s)/α. From ε, x̂
 * has few digits where α is small, as any x̂ from ε has.
 * @param output the raw output, of z's shape; with `variance` also a learned exponent in [0, 1] (see `Estimate`).
 */
export function readModel<C>(
  output: (z: Tensor, lambda: Tensor1D, condition: C) => Tensor | { output: Tensor; variance: Tensor },
  { prediction = 'eps', cost = ONE_CALL, variance = false }: ReadingOptions & { variance?: boolean | undefined } = {},
): Model<C> {
  checkPrediction(prediction);
  return defineModel<C>({
    predict(z, lambda, condition) {
      const given = output(z, lambda, condition);
      const parts = isTwo(given) ? given : { output: given, variance: null };
      return { ...estimateFrom(prediction, parts.output, z, lambda), variance: parts.variance };
    },
    cost: () => cost,
    gives: { variance },
  });
}

const isTwo = <Two extends object>(given: Tensor | Two): given is Two => 'output' in Object(given);

/** A prediction of one kind, of z's shape, as x̂ and ε̂. To be called within a tidy. */
export function estimateFrom(
  prediction: Prediction,
  output: Tensor,
  z: Tensor,
  lambda: Tensor1D,
): Pick<Estimate, 'x' | 'eps'> {
  checkShape("the model's output", output, z.shape);
  const { alpha, sigma } = scales(z, lambda);
  const xOf = (eps: Tensor): Tensor => div(sub(z, mul(sigma, eps)), alpha);
  switch (prediction) {
    case 'x':
      return { x: output, eps: div(sub(z, mul(alpha, output)), sigma) };
    case 'v':
      return { x: sub(mul(alpha, z), mul(sigma, output)), eps: add(mul(sigma, z), mul(alpha, output)) };
    case 'score': {
      const eps = mul(mul(sigma, -1), output);
      return { x: xOf(eps), eps };
    }
    default:
      return { x: xOf(output), eps: output };
  }
}

/**
 * A plain ε-function as a model of one call that gives ε̂. A model as it is, but for one written by hand: what that predicts
 * is checked as {@link defineModel} checks it.
 */
export function toModel<C>(model: ModelLike<C>): Model<C> {
  if (typeof model === 'function') return readModel(model);
  return checked.has(model) ? model : withCondition<C, C>(model, (condition) => condition);
}

/** ε̂ of a model's first call, as a plain function: for code that wants one. Of a model that remembers, use `predict`. */
export function epsOf<C>(like: ModelLike<C>): EpsFunction<C> {
  const model = toModel(like);
  return (z, lambda, condition) =>
    tidy(() => model.predict(z, lambda, condition, model.start(z.shape[0] as number, z.shape.slice(1))).eps);
}

/** α and σ of each sample's λ [n], shaped to multiply values of `like`'s rank. To be called within a tidy. */
export function scales(like: Tensor, lambda: Tensor1D): { alpha: Tensor; sigma: Tensor } {
  const { alpha, sigma } = alphaSigma(lambda);
  return { alpha: perSample(alpha, like), sigma: perSample(sigma, like) };
}

/** z = α x + σ ε of each sample's λ [n]. To be called within a tidy. */
export function diffuse(x: Tensor, eps: Tensor, lambda: Tensor1D): Tensor {
  const { alpha, sigma } = scales(x, lambda);
  return add(mul(alpha, x), mul(sigma, eps));
}

/** A batch of per-sample numbers shaped to multiply values of `like`'s rank: [n] → [n, 1, …, 1]. */
export const perSample = (values: Tensor1D, like: Tensor): Tensor =>
  reshape(values, [-1, ...like.shape.slice(1).map(() => 1)]);
