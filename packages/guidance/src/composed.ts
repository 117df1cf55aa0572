import { type Conditioning, type Costed, checkFinite, checkShape, costAt, type EpsModel, withCost } from '@logsnr/core';
import { add, mul, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { extrapolate, guide, type Pair, type Rule } from './guide.js';
import type { Weight } from './weight.js';

/** What to lead towards, and what to lead away from, for each of n samples. */
export interface Negated<C> {
  condition: C;
  negative: C;
}

/**
 * A negative condition in the place of ∅: ε̃ = ε(z, c) + w (ε(z, c) − ε(z, c_neg)), which samples from
 * p(z|c) (p(z|c)/p(z|c_neg))^w. With c_neg = ∅ it is classifier-free guidance bit for bit.
 * @throws RangeError when w is not finite.
 */
export function negative<C>(
  model: EpsModel<C>,
  { concat }: Pick<Conditioning<C>, 'concat'>,
  w: Weight,
  { evaluation = 'joint', rule = extrapolate }: EvaluationOptions & { rule?: Rule | undefined } = {},
): Costed<Negated<C>> {
  checkEvaluation(evaluation);
  const pair: Pair<Negated<C>> = Object.assign(
    (...[z, lambda, c]: Parameters<EpsModel<Negated<C>>>) => {
      const parts = [c.condition, c.negative].map((condition) => ({ lambda, condition }));
      const [conditional, unconditional] = evaluate(model, concat, evaluation, z, parts) as [Tensor, Tensor];
      return { conditional, unconditional };
    },
    { cost: (lambda: number) => costOf(model, evaluation, 2, lambda) },
  );
  const plain = withCost<Negated<C>>(
    (z, lambda, c) => model(z, lambda, c.condition),
    (lambda) => costAt(model, lambda),
  );
  return guide(plain, pair, w, rule);
}

/**
 * Several conditions at once (Liu et al. 2022, arXiv 2206.01714): ε̃ = ε_∅ + Σ_i (1 + w_i)(ε(z, c_i) − ε_∅), which
 * samples from p(z) Π_i p(c_i|z)^{1 + w_i}. Their weights are 1 + w_i, so w_i = −1 leaves c_i out and a smaller one leads away
 * from it. The model's condition is the list of the c_i, each for n samples. One condition is classifier-free guidance
 * bit for bit: the sum is written ε_1 + w_1 (ε_1 − ε_∅) + Σ_{i>1} (1 + w_i)(ε_i − ε_∅).
 * @throws RangeError without weights, when one is not finite, and in use when there are not as many conditions.
 */
export function composed<C>(
  model: EpsModel<C>,
  { none, concat }: Conditioning<C>,
  w: readonly number[],
  { evaluation = 'joint' }: EvaluationOptions = {},
): Costed<readonly C[]> {
  checkEvaluation(evaluation);
  if (w.length === 0) throw new RangeError('w is empty; give a weight for each condition.');
  w.forEach((weight, i) => {
    checkFinite(`w[${i}]`, weight);
  });
  const alone = w.length === 1 && w[0] === 0;
  const guided: EpsModel<readonly C[]> = (z, lambda, conditions) => {
    checkShape('lambda', lambda, [z.shape[0] ?? null]);
    if (conditions.length !== w.length)
      throw new RangeError(`there are ${conditions.length} conditions and ${w.length} weights; give one for each.`);
    if (alone) return model(z, lambda, conditions[0] as C);
    return tidy(() => {
      const all = [...conditions, none(conditions[0] as C)].map((condition) => ({ lambda, condition }));
      const predictions = evaluate(model, concat, evaluation, z, all);
      const empty = predictions.pop() as Tensor;
      const [first, ...others] = predictions as [Tensor, ...Tensor[]];
      const start = add(first, mul(sub(first, empty), w[0] as number));
      return others.reduce((sum, eps, i) => add(sum, mul(sub(eps, empty), 1 + (w[i + 1] as number))), start);
    });
  };
  return withCost(guided, (lambda) =>
    alone ? costAt(model, lambda) : costOf(model, evaluation, w.length + 1, lambda),
  );
}
