import {
  type Conditioning,
  checkFinite,
  derive,
  type Model,
  type ModelLike,
  memoryOf,
  type Predicted,
  toModel,
} from '@logsnr/core';
import { type ClassifierFreeOptions, twoOf } from './classifier-free.js';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { checkWhole, guide } from './guide.js';
import { extrapolate, led } from './rule.js';
import type { Weight } from './weight.js';

/** What to lead towards, and what to lead away from, for each of n samples. */
export interface Negated<C> {
  condition: C;
  negative: C;
}

/**
 * A negative condition in the place of ∅: ε̃ = ε(z, c) + w (ε(z, c) − ε(z, c_neg)), which aims at
 * p(z|c) (p(z|c)/p(z|c_neg))^w. With c_neg = ∅ it is classifier-free guidance bit for bit.
 * @throws RangeError when w is not finite.
 */
export function negative<C>(
  model: ModelLike<C>,
  { concat, check }: Pick<Conditioning<C>, 'concat' | 'check'>,
  w: Weight,
  { evaluation = 'joint', rule = extrapolate }: ClassifierFreeOptions = {},
): Model<Negated<C>> {
  return guide<[Model<C>], Negated<C>>(
    [toModel(model)],
    ([model]) => ({
      ...twoOf<C, Negated<C>>(model, concat, evaluation, (lambda, { condition, negative }) => [
        { lambda, condition },
        { lambda, condition: negative },
      ]),
      check({ condition, negative }, n) {
        check?.(condition, n);
        check?.(negative, n);
      },
    }),
    w,
    rule,
  );
}

/**
 * Several conditions at once (Liu et al. 2022, arXiv 2206.01714): ε̃ = ε_∅ + Σ_i (1 + w_i)(ε(z, c_i) − ε_∅), which
 * aims at p(z) Π_i p(c_i|z)^{1 + w_i}. Their weights are 1 + w_i, so w_i = −1 leaves c_i out and a smaller one leads away
 * from it. The model's condition is the list of the c_i, each for n samples. A learned variance is that for c_1. One condition is classifier-free guidance
 * bit for bit: the sum is written ε_1 + w_1 (ε_1 − ε_∅) + Σ_{i>1} (1 + w_i)(ε_i − ε_∅).
 * @throws RangeError without weights, when one is not finite, and in use when there are not as many conditions.
 */
export function composed<C>(
  model: ModelLike<C>,
  { nullCondition, concat, check }: Conditioning<C>,
  w: readonly number[],
  { evaluation = 'joint' }: EvaluationOptions = {},
): Model<readonly C[]> {
  checkEvaluation(evaluation);
  if (w.length === 0) throw new RangeError('w is empty; give a weight for each condition.');
  for (const [i, weight] of w.entries()) checkFinite(`w[${i}]`, weight);
  const inner = toModel(model);
  checkWhole(inner);
  const count = w.length === 1 && w[0] === 0 ? 1 : w.length + 1;
  return derive<[Model<C>], readonly C[]>([inner], ([model]) => ({
    predict(z, lambda, conditions, memory) {
      if (conditions.length !== w.length)
        throw new RangeError(`there are ${conditions.length} conditions and ${w.length} weights; give one for each.`);
      for (const condition of conditions) check?.(condition, z.shape[0] as number);
      const all = [...conditions, nullCondition(conditions[0] as C)].slice(0, count);
      const parts = all.map((condition, i) => ({ lambda, condition, memory: memoryOf(memory, i) }));
      const made = evaluate(model, concat, evaluation, z, parts) as [Predicted, ...Predicted[]];
      const [first, empty] = [made[0], made[w.length]];
      const terms = w.map(
        (weight, i) => [i === 0 ? weight : 1 + weight, made[i], empty] as [number, Predicted, Predicted],
      );
      const next = Array.from({ length: w.length + 1 }, (_, i) => made[i]?.memory ?? memoryOf(memory, i));
      return { ...led(first, empty ? terms : []), variance: first.variance, memory: next };
    },
    cost: (lambda) => costOf(model, evaluation, count, lambda),
    gives: model.gives,
    start: (n, shape) => Array.from({ length: w.length + 1 }, () => model.start(n, shape)),
  }));
}
