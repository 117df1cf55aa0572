import * as tf from '@tensorflow/tfjs-core';

/** A function of two tensors with `gradients` of its own, by each of them. Differentiable once. */
export const ofTwo = <A extends tf.Tensor, B extends tf.Tensor, Y extends tf.Tensor>(
  value: (a: A, b: B) => Y,
  gradients: (dy: Y, a: A, b: B) => [tf.Tensor, tf.Tensor],
): ((a: A, b: B) => Y) =>
  tf.customGrad((...args) => {
    const [a, b, save] = args as unknown as [A, B, tf.GradSaveFunc];
    save([a, b]);
    return {
      value: value(a, b),
      gradFunc: (dy, saved) => {
        const [a, b] = saved as [A, B];
        return gradients(dy as Y, a, b);
      },
    };
  }) as (a: A, b: B) => Y;
