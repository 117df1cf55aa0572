import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { clipByGlobalNorm, globalNorm } from './clip.js';

const numbers = (x: tf.Tensor | undefined) => Array.from(x?.dataSync() ?? []);

test('the norm is over all tensors together, and clipping keeps the direction', () => {
  const before = tf.memory().numTensors;
  const g = [tf.tensor1d([2, 3]), tf.tensor2d([[6]])];
  const norm = globalNorm(g);
  expect(numbers(norm)).toEqual([7]);
  const clipped = clipByGlobalNorm(g, 3.5);
  expect(numbers(clipped[0])).toEqual([1, 1.5]);
  expect(numbers(clipped[1])).toEqual([3]);
  expect(tf.memory().numTensors).toBe(before + 5);
  tf.dispose([g, norm, clipped] as unknown as tf.TensorContainer);
});

test('within the limit nothing changes, not even a bit; zero stays zero', () => {
  tf.tidy(() => {
    const values = [0.1, 1 / 3, -1e-20, 0.7];
    const g = tf.tensor1d(values);
    expect(numbers(clipByGlobalNorm([g], 1)[0])).toEqual(numbers(g));
    expect(numbers(clipByGlobalNorm([tf.zeros([2])], 1)[0])).toEqual([0, 0]);
  });
});

test('refuses a limit that is not above 0', () => {
  for (const limit of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => clipByGlobalNorm([], limit)).toThrow(`the norm to clip at is ${limit}`);
});
