import * as tf from '@tensorflow/tfjs-core';
import { LINEAR, LINEAR_INPUT_GRADIENT, LINEAR_WEIGHT_GRADIENT } from '../kernels.js';
import { type Added, addedGradients, plus } from './bias.js';
import { hasKernels, runWithGradient } from './kernel.js';
import { ofTwo } from './of-two.js';

/** How a linear map is made: by a kernel of the backend's for maps of rows, or by its matrix products. */
export type LinearMethod = 'kernel' | 'composed';

/**
 * y = x W + bias + residual over the last axis: `x` [..., in], `weight` [in, out], result [..., out]. Differentiable once in
 * all of them.
 */
export function linear<T extends tf.Tensor>(
  x: T,
  weight: tf.Tensor2D,
  added: Added = {},
  method: LinearMethod = linearMethod(weight),
): T {
  const [from, to] = weight.shape;
  const [rows, shape] = [x.size / from, [...x.shape.slice(0, -1), to]];
  return tf.tidy(() => {
    const flat = tf.reshape(x, [rows, from]);
    const { bias } = added;
    const residual = added.residual && tf.reshape(added.residual, [rows, to]);
    const nothing = tf.tensor1d([]);
    const y =
      method === 'composed'
        ? plus(byProduct(flat, weight), { bias, residual })
        : runWithGradient(gradient, { x: flat, weight, bias: bias ?? nothing, residual: residual ?? nothing });
    // Reshaped last: the gradient of a reshape keeps what was reshaped, here the result itself.
    return tf.reshape(y, shape) as T;
  });
}

/**
 * `kernel` where the current backend has them and they are faster. Measured by `pnpm bench:products`, time over the composed
 * form's on one thread: 98 rows of 32 × 96 channels 0.73, 1,024 of 128 × 384 0.98, 16,384 of 96 × 32 0.96; with gradients 0.6 to
 * 0.7. A weight of 1,024 × 1,024, which no cache holds beside its rows, takes longer.
 */
function linearMethod({ shape, size }: tf.Tensor2D): LinearMethod {
  const suits = size <= 1 << 18 && shape.every((channels) => channels > 0 && channels % 16 === 0);
  return suits && hasKernels(LINEAR, LINEAR_INPUT_GRADIENT, LINEAR_WEIGHT_GRADIENT) ? 'kernel' : 'composed';
}

// What is not asked for is not computed: the gradient by an image alone needs none by the weights.
const gradient: tf.GradConfig = {
  kernelName: LINEAR,
  inputsToSave: ['x', 'weight'],
  gradFunc(given, saved) {
    const dy = given as tf.Tensor2D;
    const [x, weight] = saved as [tf.Tensor2D, tf.Tensor2D];
    return {
      x: () => tf.engine().runKernel(LINEAR_INPUT_GRADIENT, { dy, weight }),
      weight: () => tf.engine().runKernel(LINEAR_WEIGHT_GRADIENT, { x, dy }),
      ...addedGradients(dy),
    };
  },
};

const byProduct = ofTwo<tf.Tensor, tf.Tensor2D, tf.Tensor>(product, (dy, a, w) =>
  tf.tidy(() => [product(dy, w, false, true), product(a, dy, true)]),
);

// WebAssembly multiplies fast only what needs no transposing, so there the transposing is a step of its own. The kernel
// is called directly: it takes matrices as they are, where `tf.matMul` reshapes them to rank 3 and back.
function product(a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor {
  const apart = tf.getBackend() === 'wasm';
  const inputs = { a: apart && transposeA ? tf.transpose(a) : a, b: apart && transposeB ? tf.transpose(b) : b };
  return tf.engine().runKernel(tf.BatchMatMul, inputs, {
    transposeA: transposeA && !apart,
    transposeB: transposeB && !apart,
  });
}
