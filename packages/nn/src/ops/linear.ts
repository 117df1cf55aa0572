import * as tf from '@tensorflow/tfjs-core';
import { ofTwo } from './of-two.js';

/** y = x W over the last axis: `x` [..., in], `weight` [in, out], result [..., out]. Differentiable once in both. */
export function linear<T extends tf.Tensor>(x: T, weight: tf.Tensor2D): T {
  const [from, to] = weight.shape;
  const rows = x.size / from;
  const op = ofTwo<tf.Tensor, tf.Tensor2D, tf.Tensor>(product, (dy, a, w) =>
    tf.tidy(() => [product(dy, w, false, true), product(a, dy, true)]),
  );
  if (x.rank === 2) return op(x, weight) as T;
  return tf.tidy(
    () => tf.reshape(op(tf.reshape(x, [rows, from]), weight), [...x.shape.slice(0, -1), to]) as unknown as T,
  );
}

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
