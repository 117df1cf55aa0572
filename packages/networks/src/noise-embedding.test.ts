import { flatten } from '@logsnr/core';
import { lambdaFeatures, shapesOf, timeFeatures } from '@logsnr/nn';
import { discrete, linearBetas } from '@logsnr/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, randomised } from '../../../test/modules.js';
import { noiseEmbedding, type TimeOptions, timesOf } from './noise-embedding.js';

const ddpm: TimeOptions = { betas: 'linear', first: 'sin', shift: 1 };

/** Two linear maps with SiLU between them, written out. */
function embedded(features: tf.Tensor2D, parameters: ReturnType<typeof randomised>): tf.Tensor {
  const at = (name: string) => flatten<tf.Tensor>(parameters)[name] as tf.Tensor;
  const hidden = tf.add(tf.matMul(features, at('linear1.kernel')), at('linear1.bias'));
  return tf.add(tf.matMul(tf.mul(hidden, tf.sigmoid(hidden)), at('linear2.kernel')), at('linear2.bias'));
}

const check = () => {
  const ofTime = noiseEmbedding(ddpm, 4, 6);
  const ofLambda = noiseEmbedding(undefined, 4, 6);
  expect(shapesOf(ofTime)).toEqual(shapesOf(ofLambda));
  const parameters = randomised(ofTime);
  const lambda = tf.tensor1d([0, 3, 640, 999].map((t) => discrete(linearBetas()).lambdas[t] as number));
  const times = timeFeatures(tf.tensor1d([0, 3, 640, 999]), 4, ddpm);
  expect(difference(ofTime.apply(parameters, lambda), embedded(times, parameters))).toBeLessThan(1e-5);
  expect(difference(ofLambda.apply(parameters, lambda), embedded(lambdaFeatures(lambda, 4), parameters))).toBeLessThan(
    1e-5,
  );
  expectNoLeak(() => [ofTime.apply(parameters, lambda)]);
};

test('an embedding of λ and one of the time of λ have the same names', check);

test('so they are on wasm and in plain JavaScript', async () => {
  for (const backend of ['wasm', 'cpu'] as const) await onBackend(backend, check);
});

test('a table is named, or given by its betas', () => {
  expect(timesOf({ betas: linearBetas() }).lambdas).toEqual(timesOf({ betas: 'linear' }).lambdas);
  expect(timesOf({ betas: 'cosine', steps: 10 }).steps).toBe(10);
  expect(timesOf({ betas: 'scaled-linear' }).lambdas[0]).toBeCloseTo(Math.log(1 / 0.00085 - 1), 10);
});

test.each([
  [{ betas: 'quadratic' }, /time.betas is "quadratic"; it must be "linear", "cosine" or "scaled-linear"/],
  [{ betas: [0.1, 0.2], steps: 3 }, /time.steps is 3, but there are 2 betas/],
  [{ betas: 'linear', first: 'tan' }, /time.first is "tan"/],
  [{ betas: 'linear', shift: 2 }, /time.shift is 2; it must be 0 or 1/],
  [{ betas: 'linear', order: 1 }, /time does not know the option "order"/],
])('a time %o is refused', (time, message) => {
  expect(() => noiseEmbedding(time as TimeOptions, 4, 6)).toThrow(message);
});

test('two features cannot have the shift of DDPM', () => {
  expect(() => noiseEmbedding(ddpm, 2, 6)).toThrow(/2 features; with time.shift 1/);
});
