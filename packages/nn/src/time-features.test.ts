import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/modules.js';
import { timeFeatures } from './time-features.js';

test('times become the features that guided-diffusion and DDPM have', () => {
  const t = tf.tensor1d([0, 7.25, 999]);
  const close = (got: tf.Tensor2D, omega: number[], order: readonly ((x: number) => number)[]) => {
    const rows = got.arraySync();
    [0, 7.25, 999].forEach((value, i) => {
      const expected = order.flatMap((f) => omega.map((w) => f(w * value)));
      expected.forEach((number, k) => {
        expect(rows[i]?.[k]).toBeCloseTo(number, 4);
      });
    });
  };
  close(timeFeatures(t, 6), [1, 10000 ** (-1 / 3), 10000 ** (-2 / 3)], [Math.cos, Math.sin]);
  close(timeFeatures(t, 6, { first: 'sin', shift: 1 }), [1, 10000 ** (-1 / 2), 10000 ** -1], [Math.sin, Math.cos]);
  expectNoLeak(() => [timeFeatures(t, 6)]);
});
