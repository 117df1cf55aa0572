import { epsOf, flatten, key, unflatten } from '@logsnr/core';
import { type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { bind } from './bind.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';

const small: UnetConfig = {
  height: 8,
  width: 4,
  channels: 2,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  heads: 2,
  groups: 2,
};

const batch = (n: number) => ({
  z: random<tf.Tensor4D>(1, n, 8, 4, 2),
  lambda: tf.linspace(-9, 7, n),
  labels: tf.tensor1d(
    Array.from({ length: n }, (_, i) => i % 4),
    'int32',
  ),
});

type Flat = Record<string, tf.Tensor>;
const flat = (parameters: Parameters): Flat => flatten<tf.Tensor>(parameters);

const count = (shapes: Readonly<Record<string, readonly number[]>>): number =>
  Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0);

test('the number of parameters is that of the architecture, counted by hand', () => {
  const network = unet({
    height: 4,
    width: 4,
    channels: 1,
    classes: 2,
    base: 2,
    multipliers: [1],
    blocks: 1,
    groups: 1,
  });
  // λ: 2·8+8 and 8·8+8. Class: 3·8. In: 9·2+2. A block a → 2: 2a + (9·2a + 2) + (8·4 + 4) + 2·2 + (9·4 + 2), with a
  // skip 2a where a is not 2. There are one down, two middle (a = 2) and two up (a = 4). Out: 4 + 9·2 + 1.
  const block = (a: number) => 2 * a + 18 * a + 2 + 36 + 4 + 38 + (a === 2 ? 0 : 2 * a);
  expect(count(shapesOf(network))).toBe(24 + 72 + 24 + 20 + 3 * block(2) + 2 * block(4) + 23);
  const mnist = {
    height: 28,
    width: 28,
    channels: 1,
    classes: 10,
    base: 16,
    multipliers: [1, 2, 2],
    blocks: 1,
    attention: [7],
    groups: 8,
  };
  expect(count(shapesOf(unet(mnist)))).toBe(288881);
});

test('fresh parameters depend on the key alone and give exactly 0', () => {
  const network = unet(small);
  const { z, lambda, labels } = batch(3);
  const [a, b, other] = [1, 1, 2].map((seed) => flat(network.init(key(seed)))) as [Flat, Flat, Flat];
  const name = 'down.0.block.0.conv1.kernel';
  expect(difference(a[name] as tf.Tensor, b[name] as tf.Tensor)).toBe(0);
  expect(difference(a[name] as tf.Tensor, other[name] as tf.Tensor)).toBeGreaterThan(0.1);
  for (const [at, shape] of Object.entries(shapesOf(network))) expect(a[at]?.shape).toEqual(shape);
  expect(
    network
      .apply(unflatten(a) as Parameters, { z, lambda, condition: labels })
      .dataSync()
      .every((value) => value === 0),
  ).toBe(true);
});

test('λ, label and z matter, each to its own sample alone', () => {
  const network = unet(small);
  const parameters = randomised(network);
  const { z, lambda, labels } = batch(2);
  const run = (z: tf.Tensor, lambda: number[], labels: number[]) =>
    network.apply(parameters, { z, lambda: tf.tensor1d(lambda), condition: tf.tensor1d(labels, 'int32') });
  const sample = (y: tf.Tensor, i: number) => tf.slice(y, [i, 0, 0, 0], [1, 8, 4, 2]);
  const base = run(z, [-2, 3], [0, 1]);
  for (const changed of [run(z, [-2, 3.5], [0, 1]), run(z, [-2, 3], [0, 3]), run(z, [-2, 3], [0, 2])]) {
    expect(difference(sample(changed, 1), sample(base, 1))).toBeGreaterThan(1e-3);
    expect(difference(sample(changed, 0), sample(base, 0))).toBeLessThan(1e-6);
  }
  tf.dispose([lambda, labels]);
});

test('a batch gives what its samples give one by one', () => {
  const network = unet(small);
  const model = epsOf(bind(network, randomised(network)));
  const { z, lambda, labels } = batch(5);
  const whole = model(z, lambda, labels);
  const parts = [0, 1, 2, 3, 4].map((i) => model(tf.slice(z, i, 1), tf.slice(lambda, i, 1), tf.slice(labels, i, 1)));
  expect(difference(tf.concat(parts), whole)).toBeLessThan(1e-5);
});

/** Gradients of Σ y · dy by every parameter, by name, and by z and λ. */
function gradients(config: UnetConfig): Record<string, tf.Tensor> {
  const network = unet(config);
  const parameters = flat(randomised(network));
  const { z, lambda, labels } = batch(2);
  const names = Object.keys(parameters);
  const loss = (...inputs: tf.Tensor[]) => {
    const own = Object.fromEntries(names.map((name, i) => [name, inputs[i + 2] as tf.Tensor]));
    return network.apply(unflatten(own) as Parameters, {
      z: inputs[0] as tf.Tensor,
      lambda: inputs[1] as tf.Tensor1D,
      condition: labels,
    });
  };
  const all = tf.grads(loss)([z, lambda, ...Object.values(parameters)], random(7, ...z.shape));
  return Object.fromEntries(['z', 'lambda', ...names].map((name, i) => [name, all[i] as tf.Tensor]));
}

test('gradients are those of finite differences', () => {
  const network = unet(small);
  const parameters = flat(randomised(network));
  const { z, lambda, labels } = batch(2);
  const dy = random(7, ...z.shape);
  const exact = gradients(small);
  const value = (changed: Flat) =>
    tf.tidy(() => {
      const y = network.apply(unflatten(changed) as Parameters, { z, lambda, condition: labels });
      return tf.sum(tf.mul(y, dy)).dataSync()[0] as number;
    });
  for (const name of [
    'in.kernel',
    'lambda.linear1.kernel',
    'class.table',
    'down.0.block.0.conv1.bias',
    'down.1.block.0.film.kernel',
    'middle.attention.0.qkv.kernel',
    'up.1.block.0.norm1.gamma',
    'up.0.block.1.skip.kernel',
    'up.1.upsample.kernel',
    'out.norm.beta',
  ]) {
    // Along the gradient the derivative is its norm: one number that each of its entries counts in.
    const gradient = exact[name] as tf.Tensor;
    const length = tf.norm(gradient).dataSync()[0] as number;
    const direction = tf.div(gradient, length);
    const step = 1e-2;
    const moved = (by: number) => ({
      ...parameters,
      [name]: tf.add(parameters[name] as tf.Tensor, tf.mul(direction, by)),
    });
    const difference = (value(moved(step)) - value(moved(-step))) / (2 * step);
    expect(Math.abs(difference - length) / length, name).toBeLessThan(2e-2);
  }
});

test('gradients on wasm and in plain JavaScript are those of this backend', async () => {
  const here = gradients(small);
  const numbers = (all: Record<string, tf.Tensor>) =>
    Object.entries(all).map(([name, t]) => [name, t.dataSync()] as const);
  for (const backend of ['wasm', 'cpu'] as const) {
    for (const [name, values] of await onBackend(backend, () => numbers(gradients(small)))) {
      const expected = (here[name] as tf.Tensor).dataSync();
      const scale = Math.max(...expected.map(Math.abs));
      const worst = Math.max(...values.map((value, i) => Math.abs(value - (expected[i] as number))));
      // Some gradients are zero but for rounding: the key's bias moves all scores of a softmax alike.
      expect(worst, `${name} on ${backend}`).toBeLessThan(1e-4 * Math.max(scale, 1));
    }
  }
});

test('without classes labels are not looked at', () => {
  const network = unet({ ...small, classes: 0 });
  expect(Object.keys(network.parameters)).not.toContain('class');
  const parameters = randomised(network);
  const { z, lambda, labels } = batch(2);
  const one = network.apply(parameters, { z, lambda, condition: labels });
  expect(difference(network.apply(parameters, { z, lambda, condition: tf.zeros([2]) }), one)).toBe(0);
});

test('init and apply leave nothing but their results', () => {
  const network = unet(small);
  const { z, lambda, labels } = batch(2);
  expectNoLeak(() => Object.values(flat(network.init(key(1)))));
  const parameters = network.init(key(1));
  expectNoLeak(() => [network.apply(parameters, { z, lambda, condition: labels })]);
});

test.each([
  [{ height: 6, multipliers: [1, 2, 2] }, /height is 6; 3 levels.*divisible by 4/],
  [{ width: 5 }, /width is 5/],
  [{ groups: 3 }, /groups is 3.*4 channels of level 0/],
  [{ attention: [7] }, /height 7; the levels have heights \[8, 4\]/],
  [{ heads: 3 }, /heads is 3.*8 channels/],
  [{ headChannels: 4 }, /both given/],
  [{ base: 0 }, /base is 0/],
  [{ base: 5 }, /base is 5.*even/],
  [{ blocks: 1.5 }, /blocks is 1.5/],
  [{ classes: -1 }, /classes is -1/],
  [{ multipliers: [] }, /multipliers is empty/],
  [{ dropout: 1.5 }, /dropout is 1.5/],
  [{ multipliers: [1, 0.3] }, /base · multipliers\[1\] is 1.2/],
  [{ multipliers: [1, 0] }, /multipliers\[1\] is 0/],
  [{ resample: 'fir' }, /resample is "fir"; it must be "pool", "conv", "conv-same" or "residual"/],
  [{ epsilon: 0 }, /epsilon is 0/],
  [{ middleAttention: true, attention: [], heads: 3 }, /heads is 3.*8 channels/],
  [{ droput: 0.1 }, /does not know the option "droput"/],
])('a configuration with %o is refused', (change, message) => {
  expect(() => unet({ ...small, ...change } as UnetConfig)).toThrow(message);
});

test('apply refuses what does not fit', () => {
  const network = unet(small);
  const parameters = network.init(key(1));
  const { z, lambda, labels } = batch(2);
  const run =
    (change: object, own: Parameters = parameters) =>
    () =>
      network.apply(own, { z, lambda, condition: labels, ...change });
  const before = tf.memory().numTensors;
  for (const [change, message] of [
    [{ z: random(1, 2, 8, 8, 2) }, /z has shape/],
    [{ z: tf.zeros([2, 8, 4, 2], 'int32') }, /z is of type int32/],
    [{ z: [1] }, /z is no tensor/],
    [{ lambda: tf.zeros([3]) }, /lambda has shape/],
    [{ condition: tf.zeros([2]) }, /has type float32; labels are int32/],
    [{ condition: tf.zeros([3], 'int32') }, /the condition has shape \[3\]; it must be \[2\]/],
    [{ condition: [0, 1] }, /the condition is an array; give a tensor of labels/],
    [{ condition: undefined }, /the condition is of type undefined/],
  ] as const)
    expect(run(change)).toThrow(message);
  const { in: first, ...rest } = parameters as { in: { kernel: tf.Tensor; bias: tf.Tensor } };
  expect(run({}, rest)).toThrow(/"in.kernel" is missing/);
  expect(run({}, { ...rest, in: { ...first, kernel: tf.zeros([3, 3, 1, 4]) } })).toThrow(/"in.kernel" has shape/);
  expect(run({}, flat(parameters))).toThrow(/is missing.*nested: `unflatten`/);
  // Only the tensors that this test made are left.
  expect(tf.memory().numTensors - before).toBe(6);
});
