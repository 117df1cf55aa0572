import { alpha, flatten, key, labels, normal, sigma } from '@logsnr/core';
import { shapesOf } from '@logsnr/nn';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSlopes } from '../../../test/slopes.js';
import {
  augmented,
  type SuperResolutionCondition,
  type SuperResolutionConfig,
  superResolution,
  superResolutionConditioning,
} from './super-resolution.js';
import { unet } from './unet.js';

const config: SuperResolutionConfig = {
  height: 8,
  width: 4,
  channels: 2,
  outputs: 4,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  groups: 2,
  resample: 'residual',
  low: { height: 3, width: 2, channels: 1 },
  noise: true,
};
const network = superResolution(config);
const parameters = randomised(network);
const [z, lambda] = [random<tf.Tensor4D>(1, 3, 8, 4, 2), tf.tensor1d([-3, 0, 2])];
const condition = {
  image: random<tf.Tensor4D>(2, 3, 3, 2, 1),
  lambda: tf.tensor1d([1, 4, 9]),
  label: tf.tensor1d([0, 2, 1], 'int32'),
};
const run = (change: Partial<SuperResolutionCondition> = {}, own = parameters) =>
  network.apply(own, { z, lambda, condition: { ...condition, ...change } });

describe('superResolution', () => {
  test('is a U-Net that sees one more image, its noise and a label', () => {
    const { low, noise, ...plain } = config;
    const changed = Object.entries(shapesOf(network)).filter(
      ([name, shape]) => String(shapesOf(unet(plain))[name]) !== String(shape),
    );
    expect(Object.fromEntries(changed)).toEqual({
      'in.kernel': [3, 3, 3, 4],
      'condition.class.table': [4, 16],
      'condition.noise.linear1.kernel': [4, 16],
      'condition.noise.linear1.bias': [16],
      'condition.noise.linear2.kernel': [16, 16],
      'condition.noise.linear2.bias': [16],
    });
    const whole = run();
    expect(whole.shape).toEqual([3, 8, 4, 4]);
    const others = [
      { image: random<tf.Tensor4D>(3, 3, 3, 2, 1) },
      { lambda: tf.tensor1d([1, 3, 9]) },
      { label: tf.tensor1d([0, 3, 1], 'int32') },
    ];
    for (const other of others) expect(difference(run(other), whole)).toBeGreaterThan(1e-3);
  });

  test('each sample by itself', () => {
    const one = { image: tf.slice(condition.image, 1, 1), lambda: tf.tensor1d([4]), label: tf.tensor1d([2], 'int32') };
    const alone = network.apply(parameters, { z: tf.slice(z, 1, 1), lambda: tf.tensor1d([0]), condition: one });
    expect(difference(alone, tf.slice(run(), 1, 1))).toBeLessThan(1e-5);
  });

  test('its gradients are those of finite differences, by the low-resolution image too', () => {
    const names = Object.keys(shapesOf(network)).filter((name) => /^(condition|in|lambda)\./.test(name));
    expectSlopes(network, { z, lambda, condition }, { names });
    tf.tidy(() => {
      const dy = random(7, 3, 8, 4, 4);
      const value = (image: tf.Tensor) => tf.sum(tf.mul(run({ image: image as tf.Tensor4D }), dy));
      const slope = tf.grad(value)(condition.image);
      const length = tf.norm(slope).dataSync()[0] as number;
      const moved = (by: number) => value(tf.add(condition.image, tf.mul(slope, by / length))).dataSync()[0] as number;
      expect(Math.abs((moved(1e-2) - moved(-1e-2)) / 2e-2 - length) / length).toBeLessThan(1e-2);
    });
  });

  test('fresh parameters give 0, and nothing is left', () => {
    expectNoLeak(() => [run()]);
    expectNoLeak(() => Object.values(flatten<tf.Tensor>(network.init(key(1)))));
    expect(Math.max(...tf.abs(run({}, network.init(key(1)))).dataSync())).toBe(0);
  });

  test('wasm, plain JavaScript and a compiled graph give the same', async () => {
    const here = run();
    const values = () => run({}, randomised(network)).dataSync();
    for (const backend of ['wasm', 'cpu'] as const)
      expect(difference(tf.tensor(await onBackend(backend, values), here.shape), here), backend).toBeLessThan(1e-4);
    if (backendInfo()?.backend !== 'tensorflow') return;
    const compiled = compile((z: tf.Tensor, condition: SuperResolutionCondition) =>
      network.apply(parameters, { z, lambda, condition }),
    );
    expect(difference(compiled(z, condition), here)).toBeLessThan(1e-5);
  });

  test('needs neither noise nor classes, and refuses what it would not look at', () => {
    const { noise, ...quiet } = config;
    const plain = superResolution({ ...quiet, classes: 0, low: { height: 4, width: 4 } });
    expect(Object.keys(shapesOf(plain)).filter((name) => name.startsWith('condition'))).toEqual([]);
    expect(shapesOf(plain)['in.kernel']).toEqual([3, 3, 4, 4]);
    const own = randomised(plain);
    const image = random<tf.Tensor4D>(2, 3, 4, 4, 2);
    const apply = (condition: SuperResolutionCondition) => plain.apply(own, { z, lambda, condition });
    expect(apply({ image }).shape).toEqual([3, 8, 4, 4]);
    expect(() => apply({ image, label: condition.label })).toThrow(/has a label, but the network has no classes/);
    expect(() => apply({ image, lambda: condition.lambda })).toThrow(/has a lambda, but the network has no noise/);
  });

  test('refuses what does not fit', () => {
    expect(() => run({ image: z })).toThrow(
      /the low-resolution image has shape \[3, 8, 4, 2\]; it must be \[3, 3, 2, 1\]/,
    );
    expect(() => run({ image: tf.cast(condition.image, 'int32') as tf.Tensor4D })).toThrow(/image is of type int32/);
    expect(() => run({ lambda: undefined })).toThrow(
      /the lambda of the low-resolution image is no tensor but undefined/,
    );
    expect(() => run({ label: undefined })).toThrow(/give a tensor of labels/);
    expect(() => network.apply(parameters, { z, lambda, condition: condition.label as never })).toThrow(
      /the condition has no image; give \{ image, label, lambda \}/,
    );
    expect(() => superResolution({ ...config, low: { height: 0, width: 4 } })).toThrow(/low.height is 0/);
    expect(() => superResolution({ ...config, low: { height: 4, size: 4 } as never })).toThrow(/size/);
  });
});

describe('its conditioning', () => {
  const conditioning = superResolutionConditioning(labels(3));
  const flat = (c: SuperResolutionCondition) => ({
    image: [...c.image.dataSync()],
    lambda: c.lambda && [...c.lambda.dataSync()],
    label: c.label && [...c.label.dataSync()],
  });

  test('∅ is that of the label, beside the same image', () => {
    const same = flat(condition);
    expect(flat(conditioning.nullCondition(condition))).toEqual({ ...same, label: [3, 3, 3] });
    expect(flat(conditioning.drop(condition, tf.tensor1d([1, 0, 1])))).toEqual({ ...same, label: [3, 2, 3] });
    const both = flat(conditioning.concat(condition, conditioning.nullCondition(condition)));
    expect(both).toEqual({
      image: [...same.image, ...same.image],
      lambda: [1, 4, 9, 1, 4, 9],
      label: [0, 2, 1, 3, 3, 3],
    });
  });

  test('without a label nothing is dropped, and ∅ is an error', () => {
    const plain = superResolutionConditioning();
    const own = { image: condition.image };
    expect(flat(plain.drop(own, tf.tensor1d([1, 0, 1])))).toEqual(flat(own));
    expect(plain.concat(own, own).image.shape).toEqual([6, 3, 2, 1]);
    for (const each of [plain, conditioning])
      expect(() => each.nullCondition(own)).toThrow(/the conditions have no label and so no ∅/);
    expect(() => plain.nullCondition(condition)).toThrow(/no ∅/);
  });

  test('owns what it gives, and checks what it is given', () => {
    const tensors = (c: SuperResolutionCondition) => [c.image, c.lambda, c.label] as tf.Tensor[];
    const mask = tf.tensor1d([1, 0, 1]);
    expectNoLeak(() => tensors(conditioning.drop(condition, mask)));
    expectNoLeak(() => tensors(conditioning.nullCondition(condition)));
    expectNoLeak(() => tensors(conditioning.concat(condition, condition)));
    conditioning.check?.(condition, 3);
    expect(() => conditioning.check?.(condition, 2)).toThrow(/the low-resolution image has shape/);
    expect(() => conditioning.check?.({ ...condition, label: condition.lambda }, 3)).toThrow(/the labels have type/);
    expect(() => conditioning.check?.(condition.image as never, 3)).toThrow(/the condition has no image/);
  });
});

test('augmentation noises each image to its own λ, by its number alone, and tells the network', () => {
  const where = { key: key(5), firstSample: 7 };
  const noised = augmented(condition, where);
  const eps = normal(key(5), condition.image.shape, 7);
  const levels = [...condition.lambda.dataSync()];
  const [x, e] = [condition.image.dataSync(), eps.dataSync()];
  for (const [i, value] of noised.image.dataSync().entries()) {
    const level = levels[Math.floor(i / 6)] as number;
    expect(value).toBeCloseTo(alpha(level) * (x[i] as number) + sigma(level) * (e[i] as number), 5);
  }
  expect([...noised.lambda.dataSync()]).toEqual(levels);
  expect([...(noised.label as tf.Tensor).dataSync()]).toEqual([...condition.label.dataSync()]);
  const last = { image: tf.slice(condition.image, 2, 1), lambda: tf.tensor1d([9]) };
  const alone = augmented(last, { key: key(5), firstSample: 9 });
  expect(difference(alone.image, tf.slice(noised.image, 2, 1))).toBe(0);
  expect(alone.label).toBeUndefined();
  expectNoLeak(() => augmented(condition, where));
  expect(() => augmented({ ...condition, lambda: tf.tensor1d([1]) }, where)).toThrow(
    /lambda of the low-resolution image/,
  );
  expect(() => augmented({ lambda: condition.lambda } as never, where)).toThrow(/the condition has no image/);
});
