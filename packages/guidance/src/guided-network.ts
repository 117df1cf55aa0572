import { type Guided, type Model, toModel, withCondition } from '@logsnr/core';
import { fill, type Tensor1D } from '@tensorflow/tfjs-core';
import { checkWeight, type Weight, weightsAt } from './weight.js';

/**
 * The guided model that a network taught by `distillation` or `guidanceFree` of `@logsnr/training` is at a weight: one evaluation a
 * call, whatever w. The weight may change with λ, as a number or a `WeightSchedule`; nothing is saved where it is 0.
 * @throws RangeError when w is not finite.
 */
export function guidedNetwork<C>(model: Model<Guided<C>>, w: Weight): Model<C> {
  checkWeight(w);
  return withCondition<Guided<C>, C>(toModel(model), (condition, _, lambda) => {
    const weights = weightsAt(w, lambda);
    return { condition, w: typeof weights === 'number' ? (fill(lambda.shape, weights) as Tensor1D) : weights };
  });
}
