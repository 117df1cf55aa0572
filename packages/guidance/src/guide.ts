import { type Cost, type Costed, checkShape, costAt, type EpsModel, perSample, withCost } from '@logsnr/core';
import { add, mul, sub, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkWeight, type Weight, weightAt, weightsAt, whereGuided } from './weight.js';

/** What a rule combines: the better and the worse prediction for z, of z's shape. */
export interface Predictions {
  /** ε(z, c), or whatever guidance leads towards. */
  readonly conditional: Tensor;
  /** ε(z, ∅), or whatever it leads away from. */
  readonly unconditional: Tensor;
  /** The weight, not 0: a number, or one for each sample, [n, 1, …]. */
  readonly w: number | Tensor;
  readonly z: Tensor;
  /** [n], in nats. */
  readonly lambda: Tensor1D;
}

/**
 * How two predictions become one: a pure function of tensors, the whole of most guidance methods. It is called within a
 * tidy. Where w is 0 it is not asked: the result is then `conditional` bit for bit.
 */
export type Rule = (predictions: Predictions) => Tensor;

/** How the two predictions are made, and what that costs. It is called within a tidy. */
export interface Pair<C> {
  (z: Tensor, lambda: Tensor1D, condition: C): Pick<Predictions, 'conditional' | 'unconditional'>;
  cost(lambda: number): Cost;
}

/** ε(z, c) + w (ε(z, c) − ε(z, ∅)) = (1 + w) ε(z, c) − w ε(z, ∅) (Ho & Salimans 2022, arXiv 2207.12598, eq. 6). */
export const extrapolate: Rule = ({ conditional, unconditional, w }) =>
  add(conditional, mul(sub(conditional, unconditional), w));

/**
 * The frame that all methods with two predictions share: `plain` where w is 0, else `rule` of `pair`.
 * @throws RangeError when w is not finite, or λ is not one for each sample; TypeError when the model gives ε̂ in two parts.
 */
export function guide<C>(plain: EpsModel<C>, pair: Pair<C>, w: Weight, rule: Rule = extrapolate): Costed<C> {
  checkWeight(w);
  checkWhole(plain);
  const guided: EpsModel<C> = (z, lambda, condition) => {
    checkShape('lambda', lambda, [z.shape[0] ?? null]);
    return tidy(() => {
      const weights = weightsAt(w, lambda);
      if (weights === 0) return plain(z, lambda, condition);
      const predictions = pair(z, lambda, condition);
      if (typeof weights === 'number') return rule({ ...predictions, w: weights, z, lambda });
      const each = perSample(weights, z);
      return whereGuided(each, predictions.conditional, rule({ ...predictions, w: each, z, lambda }));
    });
  };
  return withCost(guided, (lambda) => (weightAt(w, lambda) === 0 ? costAt(plain, lambda) : pair.cost(lambda)));
}

/** Throws a `TypeError` when a model gives ε̂ in two parts, of which guidance around it would lose one. */
export function checkWhole<C>(model: EpsModel<C>): void {
  if (model.split)
    throw new TypeError(
      'the model gives ε̂ in two parts (it has `split`), as cfgPlusPlus does; guidance goes inside such a model, not around it.',
    );
}
