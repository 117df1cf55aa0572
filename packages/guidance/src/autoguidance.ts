import {
  type Conditioning,
  checkFinite,
  derive,
  inTurn,
  type Model,
  type ModelLike,
  memoryOf,
  type Predicted,
  toModel,
} from '@logsnr/core';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { checkWhole, guide } from './guide.js';
import { type Both, extrapolate, led, type RuleLike } from './rule.js';
import type { Weight } from './weight.js';

/**
 * Autoguidance (Karras et al. 2024, arXiv 2406.02507): away from a weaker model with the same condition,
 * ε̃ = ε(z, c) + w (ε(z, c) − ε_weak(z, c)); the paper's weight is 1 + w.
 *
 * With a weaker model made from the same weights it is perturbed-attention guidance (Ahn et al. 2024, arXiv 2403.17377),
 * smoothed-energy guidance (Hong 2024, arXiv 2408.00760) or skip-layer guidance: see `UnetPerturbation` of
 * `@logsnr/networks`. Around a guided model, `autoguidance(classifierFree(…), weak, w)` leads from the weak model to the guided
 * one; {@link perturbedGuidance} leads from the weak model to the conditional one, as peers do.
 * @throws RangeError when w is not finite.
 */
export function autoguidance<C>(
  model: ModelLike<C>,
  weaker: ModelLike<C>,
  w: Weight,
  { rule = extrapolate }: { rule?: RuleLike | undefined } = {},
): Model<C> {
  return guide<[Model<C>, Model<C>], C>(
    [toModel(model), toModel(weaker)],
    ([model, weaker]) => ({
      plain: model.predict,
      pair: (z, lambda, condition, [own, other]) => [
        model.predict(z, lambda, condition, own),
        weaker.predict(z, lambda, condition, other),
      ],
      cost: (lambda) => inTurn(model.cost(lambda), weaker.cost(lambda)),
    }),
    w,
    rule,
  );
}

/**
 * Classifier-free guidance and guidance away from a weaker model around one shared conditional prediction, as Ahn et al. 2024
 * (arXiv 2403.17377, section 4) and HF diffusers combine them:
 * ε̃ = ε_c + w (ε_c − ε_∅) + `weakWeight` (ε_c − ε_weak). Three evaluations. With `weakWeight` 0 it is classifier-free guidance.
 * (Their "guidance scale" is 1 + w; their "PAG scale" is `weakWeight`.)
 * @throws RangeError when a weight is not finite.
 */
export function perturbedGuidance<C>(
  model: ModelLike<C>,
  weaker: ModelLike<C>,
  conditioning: Conditioning<C>,
  { w, weakWeight, evaluation = 'joint' }: { w: number; weakWeight: number } & EvaluationOptions,
): Model<C> {
  checkEvaluation(evaluation);
  checkFinite('w', w);
  checkFinite('weakWeight', weakWeight);
  const models: [Model<C>, Model<C>] = [toModel(model), toModel(weaker)];
  models.forEach(checkWhole);
  return derive<[Model<C>, Model<C>], C>(models, ([model, weaker]) => ({
    predict(z, lambda, condition, memory) {
      conditioning.check?.(condition, z.shape[0] as number);
      const parts = [condition, conditioning.nullCondition(condition)]
        .slice(0, w === 0 ? 1 : 2)
        .map((condition, i) => ({ lambda, condition, memory: memoryOf(memory, i) }));
      const [own, none] = evaluate(model, conditioning.concat, evaluation, z, parts) as [Predicted, Predicted?];
      const weak = weakWeight === 0 ? undefined : weaker.predict(z, lambda, condition, memoryOf(memory, 2));
      const away = (weight: number, from?: Both): [number, Both, Both][] => (from ? [[weight, own, from]] : []);
      const next = [own, none, weak].map((made, i) => made?.memory ?? memoryOf(memory, i));
      return { ...led(own, [...away(w, none), ...away(weakWeight, weak)]), variance: own.variance, memory: next };
    },
    cost: (lambda) => {
      const first = costOf(model, evaluation, w === 0 ? 1 : 2, lambda);
      return weakWeight === 0 ? first : inTurn(first, weaker.cost(lambda));
    },
    gives: { variance: model.gives.variance },
    start: (n, shape) => [model, model, weaker].map((each) => each.start(n, shape)),
  }));
}
