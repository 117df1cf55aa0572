import { flatten, key, unflatten } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, random } from '../../../test/modules.js';
import { convClassifier } from './conv-classifier.js';

const config = { height: 8, width: 8, channels: 1, classes: 3, widths: [4, 8], features: 16 };

test('shapes, and each image on its own', () => {
  const network = convClassifier(config);
  const parameters = network.init(key(1));
  const images = random(1, 3, 8, 8, 1);
  const { logits, features } = network.apply(parameters, images);
  expect([logits.shape, features.shape]).toEqual([
    [3, 3],
    [3, 16],
  ]);
  expect(Math.min(...features.dataSync())).toBeGreaterThanOrEqual(0);
  const one = network.apply(parameters, tf.slice(images, 1, 1));
  expect(difference(one.logits, tf.slice(logits, 1, 1))).toBeLessThan(1e-5);
  expectNoLeak(() => Object.values(flatten<tf.Tensor>(network.init(key(1)))));
  expectNoLeak(() => Object.values(network.apply(parameters, images)));
});

test('it learns to tell where a bright square lies', () => {
  // Class i has its square in the i-th quarter; noise elsewhere.
  const corners = [
    [0, 0],
    [0, 4],
    [4, 0],
  ] as const;
  const labels = Array.from({ length: 30 }, (_, i) => i % 3);
  const squares = labels.map((label) => {
    const [y, x] = corners[label] as readonly [number, number];
    return tf.pad(tf.ones([4, 4]), [
      [y, 4 - y],
      [x, 4 - x],
    ]);
  });
  const images = tf.reshape(tf.add(tf.stack(squares), tf.mul(random(1, 30, 8, 8), 0.5)), [30, 8, 8, 1]);
  const truth = tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 3), 'float32');
  const network = convClassifier(config);
  let parameters = flatten<tf.Tensor>(network.init(key(1)));
  const names = Object.keys(parameters);
  const loss = (...values: tf.Tensor[]) => {
    const { logits } = network.apply(
      unflatten(Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]))) as Parameters,
      images,
    );
    return tf.neg(tf.mean(tf.sum(tf.mul(truth, tf.logSoftmax(logits)), 1)));
  };
  for (let step = 0; step < 60; step++) {
    const gradients = tf.grads(loss)(Object.values(parameters));
    parameters = Object.fromEntries(
      Object.entries(parameters).map(([name, value], i) => [
        name,
        tf.sub(value, tf.mul(gradients[i] as tf.Tensor, 0.2)),
      ]),
    );
  }
  expect(
    Array.from(tf.argMax(network.apply(unflatten(parameters) as Parameters, images).logits, 1).dataSync()),
  ).toEqual(labels);
});

test.each([
  [{ height: 6 }, /height is 6.*divisible by 4/],
  [{ classes: 1 }, /classes is 1/],
  [{ widths: [] }, /widths is empty/],
  [{ features: 0 }, /features is 0/],
])('a configuration with %o is refused', (change, message) => {
  expect(() => convClassifier({ ...config, ...change })).toThrow(message);
});

test('images of another size are refused', () => {
  const network = convClassifier(config);
  expect(() => network.apply(network.init(key(1)), tf.zeros([1, 9, 8, 1]))).toThrow(/images has shape/);
});
