import { type Conditioning, inTurn, type Model, type ModelLike, toModel } from '@logsnr/core';
import type { EvaluationOptions } from './evaluate.js';
import { guide } from './guide.js';
import { extrapolate, type RuleLike } from './rule.js';
import { type Term, terms } from './terms.js';
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
 * Classifier-free guidance and guidance away from a weaker model around one shared conditional prediction, two {@link terms}:
 * ε̃ = ε_c + w (ε_c − ε_∅) + `weakWeight` (ε_c − ε_weak). Three evaluations. With `weakWeight` 0 it is classifier-free guidance.
 * (The "guidance scale" of HF diffusers is 1 + w, its "PAG scale" is `weakWeight`.)
 * @throws RangeError when a weight is not finite.
 */
export function perturbedGuidance<C>(
  model: ModelLike<C>,
  weaker: ModelLike<C>,
  conditioning: Conditioning<C>,
  { w, weakWeight, ...options }: { w: Weight; weakWeight: Weight } & EvaluationOptions,
): Model<C> {
  const away: Term<C>[] = [
    { against: 'null', weight: w },
    { against: { model: weaker }, weight: weakWeight },
  ];
  return terms(model, conditioning, away, options);
}
