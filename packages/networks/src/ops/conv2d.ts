import * as tf from '@tensorflow/tfjs-core';

/** How a convolution's gradients are made: by the backend's kernels, or from slices, products and convolutions. */
export type ConvGradients = 'kernels' | 'composed';

/** `kernels` where the current backend has them, else `composed` (WebAssembly has no filter gradient). */
export const convGradients = (): ConvGradients =>
  tf.getKernel(tf.Conv2DBackpropFilter, tf.getBackend()) && tf.getKernel(tf.Conv2DBackpropInput, tf.getBackend())
    ? 'kernels'
    : 'composed';

/**
 * Convolution of stride 1 with zero padding that keeps the size: y[n,h,w,o] = Σ_{i,j,c} x[n,h+i−r,w+j−r,c] k[i,j,c,o]
 * with r = (K − 1)/2. `x` is [n, h, w, in], `kernel` [K, K, in, out] with K odd; the result is [n, h, w, out].
 * Differentiable once in both, on every backend.
 */
export function conv2d(x: tf.Tensor4D, kernel: tf.Tensor4D, gradients = convGradients()): tf.Tensor4D {
  if (gradients === 'kernels') return tf.conv2d(x, kernel, 1, 'same');
  const op = tf.customGrad((...args) => {
    const [a, k, save] = args as unknown as [tf.Tensor4D, tf.Tensor4D, tf.GradSaveFunc];
    save([a, k]);
    return {
      value: tf.conv2d(a, k, 1, 'same'),
      gradFunc: (dy, saved) => {
        const [a, k] = saved as [tf.Tensor4D, tf.Tensor4D];
        return [inputGradient(dy as tf.Tensor4D, k), filterGradient(a, dy as tf.Tensor4D, k.shape[0])];
      },
    };
  });
  return op(x, kernel) as tf.Tensor4D;
}

/** The gradient by x is a convolution too: of dy with the kernel turned by 180° and its channels exchanged. */
function inputGradient(dy: tf.Tensor4D, kernel: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => tf.conv2d(dy, tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]), 1, 'same'));
}

/** dk[i,j] = Σ_{n,h,w} x[n,h+i−r,w+j−r,:] dy[n,h,w,:]ᵀ: one plain matrix product for each of the K² offsets. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, size: number): tf.Tensor4D {
  return tf.tidy(() => {
    const [n, h, w, channels] = x.shape;
    const r = (size - 1) / 2;
    const rows = tf.reshape(dy, [n * h * w, dy.shape[3]]);
    // Transposed once and ahead of the slices, so that no product has to transpose its factor.
    const planes = tf.transpose(
      r > 0
        ? tf.pad4d(x, [
            [0, 0],
            [r, r],
            [r, r],
            [0, 0],
          ])
        : x,
      [3, 0, 1, 2],
    );
    const offsets = Array.from({ length: size * size }, (_, at) => {
      const part = tf.slice(planes, [0, 0, Math.floor(at / size), at % size], [channels, n, h, w]);
      return tf.matMul(tf.reshape(part, [channels, n * h * w]), rows);
    });
    return tf.reshape(tf.stack(offsets), [size, size, channels, dy.shape[3]]);
  });
}
