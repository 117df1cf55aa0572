import { type Conditioning, derive, type Model, type ModelLike, memoryOf, toModel } from '@logsnr/core';
import { withNull } from './classifier-free.js';
import type { EvaluationOptions } from './evaluate.js';
import { checkWhole } from './guide.js';
import { applyRule, extrapolate } from './rule.js';
import { checkWeight, spread, type Weight, weightsAt } from './weight.js';

/**
 * CFG++ (Chung et al. 2024, arXiv 2406.08070, algorithm 2): x̂ comes from the guided ε̃ = ε_c + w (ε_c − ε_∅), but the step
 * renoises with ε_∅: z' = α' (z − σ ε̃)/α + σ' ε_∅. The paper's λ is 1 + w and lies in [0, 1], so w lies in [−1, 0]: −1 is
 * unconditional sampling.
 *
 * For samplers that renoise with the model's second ε̂ (`renoises` is true: DDIM, ancestral, …); the others refuse it. Every step
 * costs two predictions, as also at w = 0 the step renoises with ε_∅.
 * @throws RangeError when w is not finite.
 */
export function cfgPlusPlus<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  { evaluation = 'joint' }: EvaluationOptions = {},
): Model<C> {
  checkWeight(w);
  const inner = toModel(model);
  checkWhole(inner);
  return derive<[Model<C>], C>([inner], ([model]) => {
    const frame = withNull(model, conditioning, evaluation);
    return {
      predict(z, lambda, condition, before) {
        frame.check?.(condition, z.shape[0] as number);
        const [own, none] = frame.pair(z, lambda, condition, [memoryOf(before, 0), memoryOf(before, 1)]);
        const { x, eps } = applyRule(extrapolate, own, none, { w: spread(weightsAt(w, lambda), z), z, lambda }, null);
        return { x, eps, renoise: none.eps, variance: own.variance, memory: [own.memory, none.memory] };
      },
      cost: frame.cost,
      gives: { renoise: true, variance: model.gives.variance },
      start: (n, shape) => [model.start(n, shape), model.start(n, shape)],
    };
  });
}
