import {
  type Conditioning,
  type Costed,
  checkShape,
  type EpsModel,
  perSample,
  type SplitEps,
  withCost,
} from '@logsnr/core';
import { type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { againstNone } from './classifier-free.js';
import { checkEvaluation, costOf, type EvaluationOptions } from './evaluate.js';
import { extrapolate, guide } from './guide.js';
import { type Weight, weightsAt } from './weight.js';

/**
 * CFG++ (Chung et al. 2024, arXiv 2406.08070, algorithm 2): x̂ comes from the guided ε̃ = ε_c + w (ε_c − ε_∅), but the step
 * renoises with ε_∅: z' = α' (z − σ ε̃)/α + σ' ε_∅. The paper's λ is 1 + w and lies in [0, 1], so w lies in [−1, 0]: −1 is
 * unconditional sampling.
 *
 * For samplers that take ε̂ in two parts (`splits` is true: DDIM, ancestral, …); the others refuse it. Called as a plain ε-model
 * it gives ε̃. Every step costs two predictions, as also at w = 0 the step renoises with ε_∅.
 * @throws RangeError when w is not finite.
 */
export function cfgPlusPlus<C>(
  model: EpsModel<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  { evaluation = 'joint' }: EvaluationOptions = {},
): Costed<C> & { split: NonNullable<EpsModel<C>['split']> } {
  checkEvaluation(evaluation);
  const pair = againstNone(model, conditioning, { evaluation });
  const split = (...[z, lambda, condition]: Parameters<EpsModel<C>>): SplitEps =>
    tidy(() => {
      checkShape('lambda', lambda, [z.shape[0] ?? null]);
      const predictions = pair(z, lambda, condition);
      const weights = weightsAt(w, lambda);
      const each = typeof weights === 'number' ? weights : perSample(weights as Tensor1D, z);
      const denoise = extrapolate({ ...predictions, w: each, z, lambda });
      return { denoise, renoise: predictions.unconditional };
    });
  const guided = guide(model, pair, w);
  const plain: EpsModel<C> = (z, lambda, condition) => guided(z, lambda, condition);
  return Object.assign(
    withCost(plain, (lambda) => costOf(model, evaluation, 2, lambda)),
    { split },
  );
}
