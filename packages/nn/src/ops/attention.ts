import * as tf from '@tensorflow/tfjs-core';

/**
 * Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1): softmax(Q Kᵀ/√d) V for each head.
 *
 * `qkv` is [n, t, 3c] with t tokens. Its channels are q, k and v in this order, and each is (head, d) with d = c/heads. The
 * result is [n, t, c]. Differentiable.
 */
export function attention(qkv: tf.Tensor3D, heads: number): tf.Tensor3D {
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
