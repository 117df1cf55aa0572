import * as tf from '@tensorflow/tfjs-core';
import { ATTENTION, ATTENTION_GRADIENT, type AttentionAttrs } from '../kernels.js';
import { hasKernels, runWithGradient } from './kernel.js';

/** How attention is made: by a kernel of the backend's, or from many of its operations. */
export type AttentionMethod = 'kernel' | 'composed';

/**
 * `kernel` where the current backend has one, up to 4096 tokens. Forward pass and gradients then take 0.11 to 0.31 times as long
 * as composed at 2 samples of 49 or 64 tokens, 0.51 and 0.61 at 16 of 256, and 0.69 and 0.87 at one of 4096 (`pnpm bench:products`,
 * one thread of a Zen 4 core).
 */
export const attentionMethod = (tokens: number): AttentionMethod =>
  tokens <= 4096 && hasKernels(ATTENTION, ATTENTION_GRADIENT) ? 'kernel' : 'composed';

/**
 * Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1): softmax(Q Kᵀ/√d) V for each head.
 *
 * `qkv` is [n, t, 3c] with t tokens. Its channels are q, k and v in this order, and each is (head, d) with d = c/heads. The
 * result is [n, t, c]. Differentiable once.
 */
export function attention(qkv: tf.Tensor3D, heads: number, method = attentionMethod(qkv.shape[1])): tf.Tensor3D {
  if (method === 'kernel') return runWithGradient(gradient, { qkv }, { heads } satisfies AttentionAttrs);
  const [n, t, channels] = qkv.shape;
  const [c, d] = [channels / 3, channels / 3 / heads];
  return tf.tidy(() => {
    if (heads === 1) return attend(...(tf.split(qkv, 3, 2) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D]), d);
    const split = tf.transpose(tf.reshape(qkv, [n, t, 3 * heads, d]), [0, 2, 1, 3]); // [n, 3 heads, t, d]
    const y = attend(...(tf.split(split, 3, 1) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]), d);
    return tf.reshape(tf.transpose(y, [0, 2, 1, 3]), [n, t, c]);
  });
}

// The scale goes to q, which is smaller than the table of scores.
const attend = <T extends tf.Tensor>(q: T, k: T, v: T, d: number): T =>
  tf.matMul(tf.softmax(tf.matMul(tf.mul(q, 1 / Math.sqrt(d)), k, false, true)), v) as T;

const gradient: tf.GradConfig = {
  kernelName: ATTENTION,
  inputsToSave: ['qkv'],
  gradFunc: (dy, [qkv], attrs) => ({
    qkv: () => tf.engine().runKernel(ATTENTION_GRADIENT, { dy: dy as tf.Tensor, qkv: qkv as tf.Tensor }, attrs),
  }),
};
