import { epsOf, flatten, labels, unflatten } from '@logsnr/core';
import { ops, type Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, random, randomised } from '../../../test/modules.js';
import { bind } from './bind.js';
import { classEmbeddings, onEmbeddings } from './class-embedding.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';
import type { UnetPerturbation } from './unet-perturbation.js';

const config: UnetConfig = {
  height: 8,
  width: 8,
  channels: 1,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  heads: 2,
  groups: 2,
};
const parameters = randomised(unet(config));
const flat = flatten<tf.Tensor>(parameters);
const [z, lambda, c] = [random<tf.Tensor4D>(1, 3, 8, 8, 1), tf.tensor1d([-3, 0, 2]), labels(3).of([0, 1, 2])];
const run = (perturbation?: UnetPerturbation, weights = flat) =>
  unet(config, perturbation).apply(unflatten(weights) as Parameters, { z, lambda, condition: c });
const layers = ['down.1.attention.0', 'middle.attention.0', 'up.1.attention.0', 'up.1.attention.1'];
const whole = run();

describe('a perturbed U-Net', () => {
  test('with nothing perturbed is the network bit for bit', () => {
    expect(difference(run({}), whole)).toBe(0);
    expect(difference(run({ attention: 'identity', at: [] }), whole)).toBe(0);
    expect(difference(run({ skip: [] }), whole)).toBe(0);
  });

  test('identity attention changes what attention gives, and nothing else', () => {
    expect(difference(run({ attention: 'identity' }), whole)).toBeGreaterThan(1e-3);
    const none = { ...flat };
    for (const layer of layers) none[`${layer}.out.kernel`] = tf.zerosLike(flat[`${layer}.out.kernel`] as tf.Tensor);
    expect(difference(run({ attention: 'identity' }, none), run({}, none))).toBe(0);
  });

  test('a small blur changes nothing, a large one comes near the infinite one', () => {
    expect(difference(run({ attention: { blur: 0.05 } }), whole)).toBeLessThan(1e-5);
    const infinite = run({ attention: { blur: Number.POSITIVE_INFINITY } });
    expect(difference(infinite, whole)).toBeGreaterThan(1e-3);
    const far = difference(run({ attention: { blur: 0.5 } }), infinite);
    expect(difference(run({ attention: { blur: 3 } }), infinite)).toBeLessThan(far);
  });

  /** The outputs with the q, k and v part of every qkv kernel and bias multiplied. */
  const scaled = (perturbation: UnetPerturbation, q: number, k: number, v: number) => {
    const changed = Object.fromEntries(
      Object.entries(flat).map(([path, value]) => {
        if (!path.includes('.qkv.')) return [path, value];
        const third = (value.shape[value.rank - 1] as number) / 3;
        const factors = [q, k, v].flatMap((factor) => Array.from({ length: third }, () => factor));
        return [path, tf.mul(value, tf.tensor1d(factors))];
      }),
    );
    return run(perturbation, changed);
  };

  test('under identity attention queries and keys do not matter, and values do (PAG)', () => {
    const plain = run({ attention: 'identity' });
    expect(difference(scaled({ attention: 'identity' }, 2, 0.5, 1), plain)).toBe(0);
    expect(difference(scaled({ attention: 'identity' }, 1, 1, 2), plain)).toBeGreaterThan(1e-3);
  });

  test('without queries a blur changes nothing; without keys neither, and all attend to the mean', () => {
    const blur: UnetPerturbation = { attention: { blur: 1 } };
    expect(difference(scaled(blur, 0, 1, 1), scaled({}, 0, 1, 1))).toBeLessThan(1e-5);
    expect(difference(scaled(blur, 1, 0, 1), scaled({}, 1, 0, 1))).toBeLessThan(1e-5);
  });

  test('only the named layers are concerned', () => {
    const one = run({ attention: 'identity', at: ['middle.attention.0'] });
    expect(difference(one, whole)).toBeGreaterThan(1e-5);
    expect(difference(one, run({ attention: 'identity' }))).toBeGreaterThan(1e-5);
    expect(difference(run({ attention: 'identity', at: layers }), run({ attention: 'identity' }))).toBe(0);
  });

  test('a skipped block is one whose last convolution is zero; a skipped attention likewise', () => {
    for (const name of ['middle.block.0', 'up.1.block.0', 'middle.attention.0']) {
      const last = name.includes('block') ? `${name}.conv2` : `${name}.out`;
      const zeroed = {
        ...flat,
        [`${last}.kernel`]: tf.zerosLike(flat[`${last}.kernel`] as tf.Tensor),
        [`${last}.bias`]: tf.zerosLike(flat[`${last}.bias`] as tf.Tensor),
      };
      expect(difference(run({ skip: [name] }), run(undefined, zeroed))).toBeLessThan(1e-6);
    }
  });

  test('leaks nothing and refuses what the network does not have', () => {
    for (const perturbation of [{ attention: 'identity' }, { attention: { blur: 1 } }, { skip: ['middle.block.1'] }])
      expectNoLeak(() => [run(perturbation as UnetPerturbation)]);
    expect(() => run({ skip: ['middle.block.7'] })).toThrow(
      /skip names "middle.block.7"; the network has down.0.block.0/,
    );
    expect(() => run({ at: ['middle.block.0'] })).toThrow(
      /at names "middle.block.0"; the network has down.1.attention.0/,
    );
    expect(() => run({ attention: { blur: 0 } })).toThrow(/attention is {"blur":0}/);
    expect(() => run({ attention: 'none' as 'identity' })).toThrow(/"none"/);
  });
});

test('identity attention is attention whose softmax is the identity', () => {
  // Queries and keys that are the same large one-hot vectors make softmax(Q Kᵀ/√d) the identity.
  const t = 4;
  const onehot = tf.mul(tf.expandDims(tf.eye(t), 0), 100) as tf.Tensor3D;
  const values = random<tf.Tensor3D>(3, 1, t, t);
  const mixed = ops.attention(tf.concat([onehot, onehot, values], 2), 1);
  expect(difference(mixed, values)).toBeLessThan(1e-6);
});

describe('the blur', () => {
  const rows = (h: number, w: number, sigma: number) => ops.blurMatrix(h, w, sigma).arraySync();
  test('keeps constants', () => {
    for (const [h, w, sigma] of [
      [4, 4, 0.7],
      [7, 3, 5],
      [1, 5, 2],
    ] as const)
      for (const row of rows(h, w, sigma)) expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  });
  test('is the separable Gaussian, by hand', () => {
    // σ = 1/2: three taps 1, e², 1 (over e² + 2), along both axes; the centre of a 5×5 map is far from the borders.
    const taps = [Math.exp(-2), 1, Math.exp(-2)].map((v) => v / (1 + 2 * Math.exp(-2)));
    const row = rows(5, 5, 0.5)[12] as number[];
    expect(row[12]).toBeCloseTo((taps[1] as number) ** 2, 6);
    expect(row[13]).toBeCloseTo((taps[1] as number) * (taps[2] as number), 6);
    expect(row[18]).toBeCloseTo((taps[0] as number) ** 2, 6);
    expect(row[14]).toBe(0);
    // At the border the outer tap is mirrored inwards.
    expect((rows(5, 1, 0.5)[0] as number[])[1]).toBeCloseTo(2 * (taps[0] as number), 6);
  });
  test('of infinite deviation is the mean', () => {
    for (const row of rows(2, 3, Number.POSITIVE_INFINITY))
      for (const value of row) expect(value).toBeCloseTo(1 / 6, 6);
  });
});

describe('class embeddings', () => {
  const embeddings = classEmbeddings(parameters);
  const model = epsOf(bind(onEmbeddings(unet(config)), parameters));

  test('give what their labels give, ∅ included', () => {
    expect(difference(model(z, lambda, embeddings.of(c)), whole)).toBeLessThan(1e-6);
    const none = unet(config).apply(parameters, { z, lambda, condition: labels(3).nullCondition(c) });
    expect(difference(model(z, lambda, embeddings.nullCondition(embeddings.of(c))), none)).toBeLessThan(1e-6);
  });
  test('are dropped and joined row by row', () => {
    const [rows, none] = [embeddings.of(c), embeddings.nullCondition(embeddings.of(c))];
    const dropped = embeddings.drop(rows, tf.tensor1d([0, 1, 0])).arraySync();
    expect([dropped[0], dropped[1], dropped[2]]).toEqual([rows, none, rows].map((x, i) => x.arraySync()[i]));
    expect(embeddings.concat(rows, none).shape).toEqual([6, 16]);
    expectNoLeak(() => [embeddings.of(c), embeddings.nullCondition(rows), embeddings.drop(rows, lambda)]);
  });
  test('have the ∅ that their labels have, or none', () => {
    const first = classEmbeddings(parameters, labels(3, { nullLabel: 0 }));
    const rows = first.of(c);
    expect(difference(first.nullCondition(rows), first.of(labels(3).of([0, 0, 0])))).toBe(0);
    const none = classEmbeddings(parameters, labels(4, { nullLabel: null }));
    expect(() => none.nullCondition(rows)).toThrow(/there is no ∅ among these labels/);
    expect(() => none.drop(rows, tf.tensor1d([0, 1, 0]))).toThrow(/there is no ∅ among these labels/);
  });
  test('refuse another size, and parameters without a table', () => {
    expect(() => model(z, lambda, tf.zeros([3, 5]))).toThrow(/the class embeddings has shape \[3, 5\]/);
    expect(() => classEmbeddings({})).toThrow(/no "class.table"/);
    expect(embeddings.of(labels(3).of([2])).shape).toEqual([1, 16]);
  });
});
