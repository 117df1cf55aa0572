import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { difference, random } from '../../../test/modules.js';

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

/** Holds two forms of one operation together: values and gradients in all inputs, of a weighted sum of the result. */
export function expectSame(op: Op, reference: Op, inputs: tf.Tensor[], tolerance: number): void {
  tf.tidy(() => {
    const expected = reference(...inputs);
    expect(difference(op(...inputs), expected)).toBeLessThan(tolerance);
    const dy = random(99, ...expected.shape);
    const gradients = tf.grads(op)(inputs, dy);
    tf.grads(reference)(inputs, dy).forEach((gradient, i) => {
      expect(difference(gradients[i] as tf.Tensor, gradient), `gradient of input ${i}`).toBeLessThan(tolerance);
    });
  });
}
