import * as tf from '@tensorflow/tfjs-core';
import { CONV_3X3, CONV_3X3_FILTER_GRADIENT, CONV_3X3_INPUT_GRADIENT } from '../kernels.js';
import { addedGradients } from './bias.js';
import { hasKernels, runWithGradient } from './kernel.js';

/**
 * Whether the current backend has kernels for 3×3 convolutions that are faster than the library's at this size.
 *
 * The one rule for forward pass and gradients, measured by `pnpm bench:convolution --sizes` (time over the library's for
 * the three, one thread of a Zen 4 core). Filters are transformed at each call, which needs tiles of 4×4 pixels to pay: 64 × 64
 * channels have 0.64, 0.58, 0.35 at 1 tile; 128 × 128 have 1.29, 1.21, 0.92 at 1 tile and 0.89, 1.02, 0.75 at 2; 256 × 256
 * have 0.93, 1.18, 0.95 at 4 tiles and 0.75, 0.94, 0.69 at 8. And the tiles must be filled: at 64 × 64 channels images of
 * 1×1 pixel (1/16 of a tile) have 2.82, 2.29, 1.32; 2×2 (1/4) 1.18, 1.16, 0.89; 5×5 (2/5) 0.92, 0.92, 0.86; 3×3 (9/16) 0.74,
 * 0.75, 0.51; 4×4 (all) 0.3 to 0.5.
 */
export function suitsKernel(x: tf.Tensor4D, kernel: tf.Tensor4D): boolean {
  const [rows, columns, from, to] = kernel.shape;
  if (rows !== 3 || columns !== 3 || from % 16 !== 0 || to % 16 !== 0) return false;
  const [n, h, w] = x.shape;
  const tiles = n * Math.ceil(h / 4) * Math.ceil(w / 4);
  if (from * to > 8192 * tiles || n * h * w < 6 * tiles) return false;
  return hasKernels(CONV_3X3, CONV_3X3_INPUT_GRADIENT, CONV_3X3_FILTER_GRADIENT);
}

/** y = x * kernel + bias + residual, by the backend's kernel; see {@link CONV_3X3}. Differentiable once in all four. */
export function conv3x3(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  bias?: tf.Tensor | undefined,
  residual?: tf.Tensor4D | undefined,
): tf.Tensor4D {
  return tf.tidy(() => {
    const nothing = tf.tensor1d([]);
    return runWithGradient(gradient, { x, kernel, bias: bias ?? nothing, residual: residual ?? nothing });
  });
}

const run = (kernel: string, inputs: Readonly<Record<string, tf.Tensor>>): tf.Tensor4D =>
  tf.engine().runKernel(kernel, inputs);

// What is not asked for is not computed: the gradient by an image alone needs none by the weights.
const gradient: tf.GradConfig = {
  kernelName: CONV_3X3,
  inputsToSave: ['x', 'kernel'],
  gradFunc(given, saved) {
    const dy = given as tf.Tensor4D;
    const [x, kernel] = saved as [tf.Tensor4D, tf.Tensor4D];
    return {
      x: () => run(CONV_3X3_INPUT_GRADIENT, { dy, kernel }),
      kernel: () => run(CONV_3X3_FILTER_GRADIENT, { x, dy }),
      ...addedGradients(dy),
    };
  },
};
