import { checkShape, type Model, type ModelLike, ONE_CALL, toModel } from '@logsnr/core';
import { logProbability } from '@logsnr/nn';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { alongGradient, type LogLikelihood } from './gradient.js';
import type { Weight } from './weight.js';

/**
 * Classifier guidance: ε̃(z, c) = ε(z, c) − w σ ∇_z log p(c|z) (Dhariwal & Nichol 2021, arXiv 2105.05233, "ADM-G"; in this
 * form Ho & Salimans 2022, arXiv 2207.12598, eq. 4), which aims at p(z|c) p(c|z)^w. The classifier must know noised
 * data at every λ; {@link logits} makes a log-likelihood of one that gives logits.
 *
 * Its w has the meaning of classifier-free guidance's: with exact scores the two are equal. Around a classifier-free model
 * the two add up; around an unconditional one, w is 1 + the w around a conditional one.
 * @param logLikelihood log p(c|z_λ) of each sample up to a constant, [n], differentiable in z.
 * @throws RangeError when w is not finite, or the log-likelihood is not one number for each sample.
 */
export const classifierGuidance = <C>(model: ModelLike<C>, logLikelihood: LogLikelihood<C>, w: Weight): Model<C> =>
  alongGradient(
    toModel(model),
    () => logLikelihood,
    w,
    () => ({ ...ONE_CALL, gradients: 1 }),
  );

/** log p(c|z_λ) = the log-softmax of a classifier's logits [n, classes] at the labels, int32 [n]. */
export function logits(classify: (z: Tensor, lambda: Tensor1D) => Tensor2D): LogLikelihood<Tensor1D> {
  return (z, lambda, labels) => {
    const all = classify(z, lambda);
    checkShape('the logits', all, [z.shape[0] ?? null, null]);
    return logProbability(all, labels);
  };
}
