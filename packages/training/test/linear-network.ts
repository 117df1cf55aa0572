import type { Network } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';

/** ε̂ = a_c z + b_c for labels c of which the last is ∅: the family that holds the optimum for Gaussian data at one λ. */
export const linearNetwork = (classes: number): Network<tf.Tensor1D> => ({
  shapes: { slope: [classes + 1, 1], 'shift.bias': [classes + 1, 1] },
  init: () => ({ slope: tf.zeros([classes + 1, 1]), 'shift.bias': tf.zeros([classes + 1, 1]) }),
  apply: (parameters, z, _lambda, condition) =>
    tf.tidy(() => {
      const pick = tf.cast(tf.oneHot(condition, classes + 1), 'float32');
      const of = (name: string) => tf.matMul(pick, parameters[name] as tf.Tensor2D);
      return tf.add(tf.mul(of('slope'), z), of('shift.bias'));
    }),
});
