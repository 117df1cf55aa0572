import { type Conditioning, type Model, type ModelLike, type Predicted, toModel } from '@logsnr/core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { checkEvaluation, costOf, type Evaluation, type EvaluationOptions, evaluate, type Part } from './evaluate.js';
import { type Frame, guide, type Pair } from './guide.js';
import { extrapolate, type RuleLike } from './rule.js';
import type { Weight } from './weight.js';

export interface ClassifierFreeOptions extends EvaluationOptions {
  /** How the two predictions are combined: {@link extrapolate}, eq. 6 of the paper, unless given. */
  rule?: RuleLike | undefined;
}

/**
 * Classifier-free guidance: ε̃(z, c) = (1 + w) ε(z, c) − w ε(z, ∅) (Ho & Salimans 2022, arXiv 2207.12598, eq. 6), a model
 * again.
 *
 * It aims at p̃(z|c) ∝ p(z|c) · p(c|z)^w, with the implicit classifier p(c|z) ∝ p(z|c)/p(z).
 * Where w is 0 for the whole batch, ∅ is not evaluated and the result is the model's for c bit for bit.
 * @param w the paper's weight (w = s − 1 for the "guidance scale" s of other libraries: `fromScale`).
 * @throws RangeError when w is not finite.
 */
export function classifierFree<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  { evaluation = 'joint', rule = extrapolate }: ClassifierFreeOptions = {},
): Model<C> {
  return guide<[Model<C>], C>([toModel(model)], ([model]) => withNull(model, conditioning, evaluation), w, rule);
}

/** The frame of the two predictions of classifier-free guidance: for the conditions, and for ∅. */
export const withNull = <C>(model: Model<C>, conditioning: Conditioning<C>, evaluation: Evaluation): Frame<C> => ({
  ...twoOf<C, C>(model, conditioning.concat, evaluation, (lambda, condition) => [
    { lambda, condition },
    { lambda, condition: conditioning.nullCondition(condition) },
  ]),
  check: conditioning.check?.bind(conditioning),
});

/**
 * The frame of two predictions by one model for the same z: the first for the conditions, the second of something else.
 * @throws RangeError on an unknown evaluation.
 */
export function twoOf<C, D>(
  model: Model<C>,
  join: (a: C, b: C) => C,
  evaluation: Evaluation,
  parts: (lambda: Tensor1D, condition: D) => Pair<Omit<Part<C>, 'memory'>>,
): Frame<D> {
  checkEvaluation(evaluation);
  return {
    plain(z, lambda, condition, memory) {
      const [own] = parts(lambda, condition);
      return model.predict(z, own.lambda, own.condition, memory);
    },
    pair(z, lambda, condition, [first, second]) {
      const [own, other] = parts(lambda, condition);
      const asked = [
        { ...own, memory: first },
        { ...other, memory: second },
      ];
      return evaluate(model, join, evaluation, z, asked) as [Predicted, Predicted];
    },
    cost: (lambda) => costOf(model, evaluation, 2, lambda),
  };
}
