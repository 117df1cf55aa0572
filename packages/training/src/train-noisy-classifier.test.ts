import { alpha, gaussianMixture, key, normal, sigma } from '@logsnr/core';
import { constant, type Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { adam } from './adam.js';
import { noisyClassifierLoss, trainNoisyClassifier } from './train-noisy-classifier.js';

test('the loss is −mean log softmax at z = α x + σ ε, by hand', () => {
  const inputs = {
    x: tf.tensor2d([[1], [-2]]),
    labels: tf.tensor1d([0, 1], 'int32'),
    lambda: tf.tensor1d([0, 2]),
    eps: tf.tensor2d([[0.5], [1]]),
  };
  const classify = (z: tf.Tensor) => tf.concat([z, tf.mul(z, -1)], 1) as tf.Tensor2D;
  const z = [alpha(0) + 0.5 * sigma(0), -2 * alpha(2) + sigma(2)] as const;
  const expected = (Math.log1p(Math.exp(-2 * z[0])) + Math.log1p(Math.exp(2 * z[1]))) / 2;
  expect(noisyClassifierLoss(classify, inputs).dataSync()[0]).toBeCloseTo(expected, 5);
  expectNoLeak(() => noisyClassifierLoss(classify, inputs));
  expect(() => noisyClassifierLoss(classify, { ...inputs, eps: tf.zeros([1, 1]) })).toThrow(/eps has shape/);
});

// Two Gaussians of one deviation at ±1 and one λ: the exact classifier is linear, log p(1|z)/p(0|z) = slope · z.
const [std, level] = [0.5, 0];
const slope = (2 * alpha(level)) / (alpha(level) ** 2 * std ** 2 + sigma(level) ** 2);
const network = {
  parameters: { slope: constant([1, 1]), bias: constant([1]) },
  init: (): Parameters => ({ slope: tf.zeros([1, 1]), bias: tf.zeros([1]) }),
  apply: (parameters: Parameters, { z }: { z: tf.Tensor }) =>
    tf.tidy(() => {
      const line = tf.add(tf.matMul(z as tf.Tensor2D, parameters.slope as tf.Tensor2D), parameters.bias as tf.Tensor);
      return tf.concat([tf.mul(line, 0), line], 1) as tf.Tensor2D;
    }),
};
const truth = Array.from({ length: 4096 }, (_, i) => i % 2);
const data = [...normal(key(9), [4096]).dataSync()].map((n, i) => 2 * (truth[i] as number) - 1 + std * n);

test('training finds the exact classifier of noised data', async () => {
  const normals = gaussianMixture([
    { mean: [-1], std },
    { mean: [1], std },
  ]);
  const run = () =>
    trainNoisyClassifier({
      network,
      schedule: () => level,
      batch: (step) => {
        const rows = Array.from({ length: 256 }, (_, i) => (256 * step + i) % 4096);
        return {
          images: tf.tensor2d(rows.map((i) => [data[i] as number])),
          labels: tf.tensor1d(
            rows.map((i) => truth[i] as number),
            'int32',
          ),
        };
      },
      optimizer: adam({ learningRate: 0.05 }),
      steps: 150,
      key: key(3),
    });
  const before = tf.memory().numTensors;
  const { parameters, losses, optimizer } = await run();
  const found = (parameters.slope as tf.Tensor).dataSync()[0] as number;
  expect(Math.abs(found - slope) / slope).toBeLessThan(0.12);
  const exact = normals.logDensity([0.3], level, 1) - normals.logDensity([0.3], level, 0);
  expect(exact).toBeCloseTo(slope * 0.3, 10);
  expect(losses.at(-1)).toBeLessThan(losses[0] as number);
  tf.dispose([parameters, optimizer] as never);
  expect(tf.memory().numTensors).toBe(before);
  const again = await run();
  expect(again.losses).toEqual(losses);
});
