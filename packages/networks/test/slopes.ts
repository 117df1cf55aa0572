import { flatten, unflatten } from '@logsnr/core';
import type { Module, Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { random, randomised } from '../../../test/modules.js';

/**
 * Holds the gradients of a weighted sum of a network's outputs, by the parameters of these names, to finite differences along
 * them: the derivative along a gradient is its norm, one number that each of its entries counts in.
 */
export function expectSlopes<I>(
  network: Module<I, tf.Tensor>,
  input: I,
  names: readonly string[],
  tolerance = 2e-2,
): void {
  tf.tidy(() => {
    const parameters = flatten<tf.Tensor>(randomised(network as Module<never, unknown>));
    const value = (changed: Record<string, tf.Tensor>) => {
      const y = network.apply(unflatten(changed) as Parameters, input);
      return tf.sum(tf.mul(y, random(7, ...y.shape)));
    };
    for (const name of names) {
      const own = parameters[name] as tf.Tensor;
      const gradient = tf.grad((at: tf.Tensor) => value({ ...parameters, [name]: at }))(own);
      const length = tf.norm(gradient).dataSync()[0] as number;
      const step = 1e-2;
      const moved = (by: number) =>
        value({ ...parameters, [name]: tf.add(own, tf.mul(gradient, by / length)) }).dataSync()[0] as number;
      const difference = (moved(step) - moved(-step)) / (2 * step);
      expect(Math.abs(difference - length) / length, name).toBeLessThan(tolerance);
    }
  });
}
