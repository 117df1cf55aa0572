import type { Conditioning, Costed, EpsModel } from '@logsnr/core';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { extrapolate, guide, type Pair, type Rule } from './guide.js';
import type { Weight } from './weight.js';

export interface ClassifierFreeOptions extends EvaluationOptions {
  /** How the two predictions are combined: {@link extrapolate}, eq. 6 of the paper, unless given. */
  rule?: Rule | undefined;
}

/**
 * Classifier-free guidance: ε̃(z, c) = (1 + w) ε(z, c) − w ε(z, ∅) (Ho & Salimans 2022, arXiv 2207.12598, eq. 6), an
 * ε-model again.
 *
 * Samples from p̃(z|c) ∝ p(z|c) · p(c|z)^w, with the implicit classifier p(c|z) ∝ p(z|c)/p(z).
 * Where w is 0 for the whole batch, ∅ is not evaluated and the result is ε(z, c) bit for bit.
 * @param w the paper's weight (w = s − 1 for the "guidance scale" s of other libraries: `fromScale`).
 * @throws RangeError when w is not finite.
 */
export function classifierFree<C>(
  model: EpsModel<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  { evaluation = 'joint', rule = extrapolate }: ClassifierFreeOptions = {},
): Costed<C> {
  checkEvaluation(evaluation);
  return guide(model, againstNone(model, conditioning, { evaluation }), w, rule);
}

/** ε(z, c) and ε(z, ∅). */
export function againstNone<C>(
  model: EpsModel<C>,
  { none, concat }: Conditioning<C>,
  { evaluation = 'joint' }: EvaluationOptions = {},
): Pair<C> {
  const pair = (...[z, lambda, condition]: Parameters<EpsModel<C>>) => {
    const parts = [condition, none(condition)].map((c) => ({ lambda, condition: c }));
    const [conditional, unconditional] = evaluate(model, concat, evaluation, z, parts);
    return { conditional, unconditional } as ReturnType<Pair<C>>;
  };
  return Object.assign(pair, { cost: (lambda: number) => costOf(model, evaluation, 2, lambda) });
}
