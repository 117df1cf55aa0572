import * as tf from '@tensorflow/tfjs-core';

/** y = x + b, `x` [..., c], `b` [c]. Differentiable. */
export function addBias<T extends tf.Tensor>(x: T, bias: tf.Tensor): T {
  return addParts([x], bias);
}

/** y = x + r + b: a residual connection and the bias of its branch. `x` and `r` [..., c], `b` [c]. Differentiable. */
export function addResidual<T extends tf.Tensor>(x: T, residual: T, bias: tf.Tensor): T {
  return addParts([x, residual], bias);
}

/** What is added to a product: a bias [c], and a residual of the product's shape. */
export interface Added {
  bias?: tf.Tensor | undefined;
  residual?: tf.Tensor | undefined;
}

/** y with what is to be added, if anything. Differentiable. */
export function plus<T extends tf.Tensor>(y: T, { bias, residual }: Added): T {
  if (residual && bias) return addResidual(y, residual as T, bias);
  return bias ? addBias(y, bias) : residual ? tf.add(y, residual) : y;
}

/** The gradients by what was added, for a kernel that adds it. */
export const addedGradients = (dy: tf.Tensor) => ({
  bias: (): tf.Tensor =>
    tf.sum(
      dy,
      dy.shape.slice(0, -1).map((_, axis) => axis),
    ),
  // A clone: the accumulation of gradients disposes what it has added up, so no two inputs may share a tensor.
  residual: (): tf.Tensor => tf.clone(dy),
});

function addParts<T extends tf.Tensor>(parts: readonly T[], bias: tf.Tensor): T {
  const op = tf.customGrad((...args) => {
    const [b, x, residual] = args as tf.Tensor[];
    const biased = tf.add(x as tf.Tensor, b as tf.Tensor);
    return {
      value: parts.length === 1 ? biased : tf.add(biased, residual as tf.Tensor),
      gradFunc(dy) {
        const { bias, residual } = addedGradients(dy);
        return [bias(), ...parts.map(residual)];
      },
    };
  });
  return op(bias, ...parts) as T;
}
