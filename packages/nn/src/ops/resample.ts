import * as tf from '@tensorflow/tfjs-core';

const pool = (x: tf.Tensor4D): tf.Tensor4D => tf.avgPool(x, 2, 2, 'valid');

// Only the kernel: its gradient is pooling, so that no backend needs the kernels of these gradients.
const repeat = (x: tf.Tensor4D): tf.Tensor4D => tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);

/** The mean of each 2×2 square of pixels: [n, h, w, c] → [n, h/2, w/2, c], h and w even. Differentiable once. */
export const downsample = (x: tf.Tensor4D): tf.Tensor4D =>
  tf.customGrad((...args) => ({
    value: pool(args[0] as tf.Tensor4D),
    gradFunc: (dy) => tf.tidy(() => repeat(tf.mul(dy, 0.25) as tf.Tensor4D)),
  }))(x) as tf.Tensor4D;

/** Each pixel as a 2×2 square (nearest neighbour): [n, h, w, c] → [n, 2h, 2w, c]. Differentiable once. */
export const upsample = (x: tf.Tensor4D): tf.Tensor4D =>
  tf.customGrad((...args) => ({
    value: repeat(args[0] as tf.Tensor4D),
    gradFunc: (dy) => tf.tidy(() => tf.mul(pool(dy as tf.Tensor4D), 4)),
  }))(x) as tf.Tensor4D;
