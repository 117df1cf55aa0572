import * as tf from '@tensorflow/tfjs-core';

/** SiLU, y = x · sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118). Differentiable once. */
export const silu: <T extends tf.Tensor>(x: T) => T = (x) =>
  tf.customGrad((...args) => {
    const [a, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const gate = tf.sigmoid(a);
    const value = tf.mul(a, gate);
    save([a, gate, value]);
    return {
      value,
      gradFunc: (dy, saved) => siluGradient(dy, saved[0] as tf.Tensor, saved[1] as tf.Tensor, saved[2] as tf.Tensor),
    };
  })(x) as typeof x;

/** dx = dy · s (1 + x − y) for y = x s, s = sigmoid(x): since x (1 − s) = x − y, no product is made anew. */
export const siluGradient = (dy: tf.Tensor, x: tf.Tensor, gate: tf.Tensor, y: tf.Tensor): tf.Tensor =>
  tf.tidy(() => tf.mul(tf.mul(dy, gate), tf.add(tf.sub(x, y), 1)));
