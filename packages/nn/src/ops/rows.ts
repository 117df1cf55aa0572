import * as tf from '@tensorflow/tfjs-core';
import { linear } from './linear.js';

/** The rows of a table [rows, size] at labels, int32 [n]: [n, size]. A label outside has a row of zeros. */
export function rows(table: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  // A product with one-hot rows, not a gather: its gradient is a product too, and every backend has that. The cast is
  // apart because WebAssembly's `oneHot` writes integers into a float32 result.
  return linear(tf.cast(tf.oneHot(labels, table.shape[0]), 'float32') as tf.Tensor2D, table);
}
