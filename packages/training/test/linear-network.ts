import { constant, type Network } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

/** ε̂ = a_c z + b_c for labels c of which the last is ∅: the family that holds the optimum for Gaussian data at one λ. */
export const linearNetwork = (classes: number): Network<tf.Tensor1D> => ({
  parameters: { slope: constant([classes + 1, 1]), shift: { bias: constant([classes + 1, 1]) } },
  init: () => ({ slope: tf.zeros([classes + 1, 1]), shift: { bias: tf.zeros([classes + 1, 1]) } }),
  apply: ({ slope, shift }, { z, condition }) =>
    tf.tidy(() => {
      const pick = tf.cast(tf.oneHot(condition, classes + 1), 'float32') as tf.Tensor2D;
      const of = (table: unknown) => tf.matMul(pick, table as tf.Tensor2D);
      return tf.add(tf.mul(of(slope), z), of((shift as { bias: tf.Tensor }).bias));
    }),
});
