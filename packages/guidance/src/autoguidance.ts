import { type Costed, costAt, type EpsModel, inTurn } from '@logsnr/core';
import { checkWhole, extrapolate, guide, type Pair, type Rule } from './guide.js';
import type { Weight } from './weight.js';

/**
 * Autoguidance (Karras et al. 2024, arXiv 2406.02507): away from a weaker model with the same condition,
 * ε̃ = ε(z, c) + w (ε(z, c) − ε_weak(z, c)); the paper's weight is 1 + w.
 *
 * With a weaker model made from the same weights it is perturbed-attention guidance (Ahn et al. 2024, arXiv 2403.17377),
 * smoothed-energy guidance (Hong 2024, arXiv 2408.00760) or skip-layer guidance: see `UnetPerturbation` of
 * `@logsnr/networks`. Around a guided model it adds to that guidance: `autoguidance(classifierFree(…), weak, w)` leads from
 * the weak model to the guided one.
 * @throws RangeError when w is not finite.
 */
export function autoguidance<C>(
  model: EpsModel<C>,
  weaker: EpsModel<C>,
  w: Weight,
  { rule = extrapolate }: { rule?: Rule | undefined } = {},
): Costed<C> {
  checkWhole(weaker);
  const pair: Pair<C> = Object.assign(
    (...[z, lambda, condition]: Parameters<EpsModel<C>>) => ({
      conditional: model(z, lambda, condition),
      unconditional: weaker(z, lambda, condition),
    }),
    { cost: (lambda: number) => inTurn(costAt(model, lambda), costAt(weaker, lambda)) },
  );
  return guide(model, pair, w, rule);
}
