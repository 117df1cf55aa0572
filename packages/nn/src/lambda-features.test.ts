import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/modules.js';
import { lambdaFeatures, lambdaFrequencies } from './lambda-features.js';

test('features are sines, then cosines, of geometric frequencies', () => {
  const lambda = tf.tensor1d([-20, 0.3]);
  const rows = lambdaFeatures(lambda, 6).arraySync();
  const omega = [1 / 16, Math.sqrt(8 / 16), 8];
  [-20, 0.3].forEach((value, i) => {
    const expected = [...omega.map((w) => Math.sin(w * value)), ...omega.map((w) => Math.cos(w * value))];
    expected.forEach((number, k) => {
      expect(rows[i]?.[k]).toBeCloseTo(number, 5);
    });
  });
  expectNoLeak(() => [lambdaFeatures(lambda, 6)]);
});

test('the slowest sine is monotone over [−20, 20]', () => {
  expect(20 * lambdaFrequencies.low).toBeLessThan(Math.PI / 2);
});
