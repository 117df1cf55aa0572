import * as tf from '@tensorflow/tfjs-core';

/** Whether the current backend has all of these kernels. */
export const hasKernels = (...names: string[]): boolean =>
  names.every((name) => tf.getKernel(name, tf.getBackend()) !== undefined);

/** Runs a kernel of one output with its gradient, which is registered at the first call. */
export function runWithGradient<T extends tf.Tensor>(
  gradient: tf.GradConfig,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attrs?: object,
): T {
  if (!tf.getGradient(gradient.kernelName)) tf.registerGradient(gradient);
  return tf.engine().runKernel(gradient.kernelName, inputs, attrs as tf.NamedAttrMap);
}
