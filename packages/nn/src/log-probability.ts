import { checkShape } from '@logsnr/core';
import { cast, logSoftmax, mul, oneHot, sum, type Tensor1D, type Tensor2D, tidy } from '@tensorflow/tfjs-core';

/**
 * log p(c) of each sample, [n]: the log-softmax of `logits` [n, classes] at `labels`, int32 [n]. Its negative is the
 * cross-entropy. It is a product with one-hot rows, so every backend differentiates and compiles it.
 */
export function logProbability(logits: Tensor2D, labels: Tensor1D): Tensor1D {
  checkShape('the logits', logits, [labels.shape[0], null]);
  return tidy(() => sum(mul(logSoftmax(logits), cast(oneHot(labels, logits.shape[1]), 'float32')), 1) as Tensor1D);
}
