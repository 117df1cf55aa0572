import { flatten, key } from '@logsnr/core';
import { shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { residualClassifier } from './residual-classifier.js';

const config = { height: 8, width: 12, channels: 3, classes: 4, widths: [8, 16, 16], groups: 4 };
const network = residualClassifier(config);

test('it is the convolutions, norms and means that its docstring says', () => {
  const parameters = randomised(network);
  const images = random<tf.Tensor4D>(1, 2, 8, 12, 3);
  const at = flatten<tf.Tensor>(parameters);
  const p = <T extends tf.Tensor>(name: string): T => at[name] as T;
  const convolved = (x: tf.Tensor, name: string) =>
    tf.add(tf.conv2d(x as tf.Tensor4D, p(`${name}.kernel`), 1, 'same'), p(`${name}.bias`));
  const normed = (x: tf.Tensor, name: string) => {
    const [n = 0, h = 0, w = 0, c = 0] = x.shape;
    const grouped = tf.reshape(x, [n, h * w, 4, c / 4]);
    const { mean, variance } = tf.moments(grouped, [1, 3], true);
    const whitened = tf.reshape(tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, 1e-5))), [n, h, w, c]);
    const y = tf.add(tf.mul(whitened, p(`${name}.gamma`)), p(`${name}.beta`));
    return tf.mul(y, tf.sigmoid(y));
  };
  const block = (x: tf.Tensor, i: number) => {
    const inner = convolved(normed(x, `levels.${i}.first.0`), `levels.${i}.first.1`);
    const branch = convolved(normed(inner, `levels.${i}.second.0`), `levels.${i}.second.1`);
    const skip = at[`levels.${i}.skip.kernel`];
    if (!skip) return tf.add(branch, x);
    const [from = 0, to = 0] = skip.shape;
    return tf.add(branch, tf.conv2d(x as tf.Tensor4D, tf.reshape(skip, [1, 1, from, to]) as tf.Tensor4D, 1, 'same'));
  };
  const halved = (x: tf.Tensor) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid');
  const last = block(halved(block(halved(block(convolved(images, 'stem'), 0)), 1)), 2);
  const features = tf.mean(normed(last, 'norm'), [1, 2]) as tf.Tensor2D;
  const logits = tf.add(tf.matMul(features, p<tf.Tensor2D>('logits.kernel')), p('logits.bias'));
  const found = network.apply(parameters, images);
  expect(difference(found.features, features)).toBeLessThan(1e-4);
  expect(difference(found.logits, logits)).toBeLessThan(1e-4);
  expectNoLeak(() => Object.values(network.apply(parameters, images)));
  expectNoLeak(() => Object.values(flatten<tf.Tensor>(network.init(key(1)))));
});

test('wasm has its gradients', async () => {
  const loss = (images: tf.Tensor) =>
    tf.grad((x) => tf.sum(tf.square(network.apply(randomised(network), x).logits)))(images);
  const native = loss(random(1, 2, 8, 12, 3));
  const values = native.dataSync();
  const other = await onBackend('wasm', () => loss(random(1, 2, 8, 12, 3)).dataSync());
  const scale = Math.max(...values.map(Math.abs));
  expect(Math.max(...other.map((value, i) => Math.abs(value - (values[i] as number)) / scale))).toBeLessThan(1e-4);
});

test('the channels change by a map without a bias, and not where they stay', () => {
  const names = Object.keys(shapesOf(network)).filter((name) => name.includes('skip'));
  expect(names).toEqual(['levels.1.skip.kernel']);
});

test.each([
  [{ height: 6 }, /height is 6.*halved 2 times, so it must be divisible by 4/],
  [{ classes: 1 }, /classes is 1/],
  [{ widths: [] }, /the number of widths is 0/],
  [{ groups: 3 }, /groups is 3, which does not divide 8 channels/],
])('a configuration with %o is refused', (change, message) => {
  expect(() => residualClassifier({ ...config, ...change })).toThrow(message);
});

test('images of another size are refused', () => {
  expect(() => network.apply(randomised(network), tf.zeros([1, 12, 8, 3]))).toThrow(/images has shape/);
});
