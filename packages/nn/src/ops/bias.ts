import * as tf from '@tensorflow/tfjs-core';

/** y = x + b, `x` [..., c], `b` [c]. Differentiable. */
export function addBias<T extends tf.Tensor>(x: T, bias: tf.Tensor): T {
  return addParts([x], bias);
}

/** y = x + r + b: a residual connection and the bias of its branch. `x` and `r` [..., c], `b` [c]. Differentiable. */
export function addResidual<T extends tf.Tensor>(x: T, residual: T, bias: tf.Tensor): T {
  return addParts([x, residual], bias);
}

function addParts<T extends tf.Tensor>(parts: readonly T[], bias: tf.Tensor): T {
  const leading = (parts[0] as T).shape.slice(0, -1).map((_, axis) => axis);
  const op = tf.customGrad((...args) => {
    const [b, x, residual] = args as tf.Tensor[];
    const biased = tf.add(x as tf.Tensor, b as tf.Tensor);
    return {
      value: parts.length === 1 ? biased : tf.add(biased, residual as tf.Tensor),
      // Clones: the accumulation of gradients disposes what it has added up, so no two inputs may share a tensor.
      gradFunc: (dy) => [tf.sum(dy, leading), ...parts.map(() => tf.clone(dy))],
    };
  });
  return op(bias, ...parts) as T;
}
