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

/**
 * Bilinear interpolation to another size, [n, h, w, c] → [n, height, width, c]. Pixels are squares, so the middle of pixel i
 * of h lies at (i + ½)/h. Beyond the outermost middles their values go on. It is PyTorch's `F.interpolate` of mode
 * `bilinear`. Differentiable once.
 */
export function bilinear(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  // The library's gradient takes pixels for points, whatever the operation did.
  const gradient = (dy: tf.Tensor): tf.Tensor => {
    const rows = tf.matMul(weights(h, height), tf.reshape(dy, [n, height, width * c]));
    const columns = tf.matMul(weights(w, width), tf.reshape(rows, [n * h, width, c]));
    return tf.reshape(columns, [n, h, w, c]);
  };
  return tf.customGrad((...args) => ({
    value: tf.image.resizeBilinear(args[0] as tf.Tensor4D, [height, width], false, true),
    gradFunc: (dy) => tf.tidy(() => gradient(dy)),
  }))(x) as tf.Tensor4D;
}

/** How much of pixel i of `from` is in pixel j of `to`, [1, from, to]. */
function weights(from: number, to: number): tf.Tensor3D {
  const values = new Float32Array(from * to);
  for (let j = 0; j < to; j++) {
    const at = Math.min(Math.max(((j + 0.5) * from) / to - 0.5, 0), from - 1);
    const below = Math.floor(at);
    values[below * to + j] = 1 - (at - below);
    if (at > below) values[(below + 1) * to + j] = at - below;
  }
  return tf.tensor3d(values, [1, from, to]);
}
