import { key, philox } from '@logsnr/core';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random } from '../../../test/modules.js';
import { module } from './compose.js';
import { dropout } from './dropout.js';
import { linear } from './layers.js';
import { streamOf, uniform, uniformNumbers } from './ops/uniform.js';

const words = (low: number, high: number) => tf.tensor1d([low, high], 'int32');
const native = backendInfo()?.backend === 'tensorflow';

describe('uniform numbers of a key that is a tensor', () => {
  test('are the low bits of Philox on every backend, bit for bit', async () => {
    const draw = () => uniform(words(7, -3), 0x89abcdef, [3, 5, 2]).dataSync();
    const here = draw();
    for (const backend of ['wasm', 'cpu'] as const) expect(await onBackend(backend, draw)).toEqual(here);
    const numbers = uniformNumbers([7, -3], { stream: 0x89abcdef, samples: 3, blocks: 3 });
    // Sample 1 begins at block 3.
    const [first] = philox([3, 0, 0x89abcdef, 0], [7, -3 >>> 0]);
    expect(here[10]).toBe(((first as number) & 0x7fffff) / 2 ** 23);
    expect([...here.slice(10, 20)]).toEqual([...numbers.slice(12, 22)]);
  });

  test('are uniform, and of sample i a function of the key, the stream and i', () => {
    const values = uniform(words(1, 2), 5, [4, 10000]);
    const { mean, variance } = tf.moments(values);
    expect(mean.dataSync()[0]).toBeCloseTo(1 / 2, 2);
    expect(variance.dataSync()[0]).toBeCloseTo(1 / 12, 2);
    expect(difference(uniform(words(1, 2), 5, [2, 10000]), tf.slice(values, 0, 2))).toBe(0);
    for (const other of [uniform(words(1, 3), 5, [4, 10000]), uniform(words(1, 2), 6, [4, 10000])])
      expect(difference(other, values)).toBeGreaterThan(0.5);
    const k = words(1, 2);
    expectNoLeak(() => [uniform(k, 5, [2, 3])]);
  });

  test('have streams that no other use of a key has', () => {
    const streams = ['', 'a', 'b', 'down.0.block.0.dropout', 'down.0.block.1.dropout'].map(streamOf);
    expect(new Set(streams).size).toBe(5);
    for (const stream of streams) expect([0, 0x666f6c64]).not.toContain(stream);
  });

  test('refuse a key that is none', () => {
    expect(() => uniform(tf.zeros([3], 'int32'), 1, [2])).toThrow(/the key has shape \[3\]/);
    expect(() => uniform(tf.zeros([2]), 1, [2])).toThrow(/float32; it must be int32/);
  });
});

describe('dropout', () => {
  const x = tf.add(tf.abs(random(1, 8, 40, 10)), 1);
  const context = { train: true, key: words(3, 4) };

  test('drops a share of `rate` in training, and divides the rest by 1 − rate', () => {
    const rate = 0.3;
    const y = dropout(rate).apply({}, x, context);
    const [before, after] = [x.dataSync(), y.dataSync()];
    let dropped = 0;
    after.forEach((value, i) => {
      if (value === 0) dropped++;
      else expect(Math.abs(value - (before[i] as number) / 0.7)).toBeLessThan(1e-5);
    });
    // Five deviations of a binomial share.
    expect(Math.abs(dropped / after.length - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / after.length));
  });

  test('does nothing outside training or at rate 0', () => {
    for (const y of [
      dropout(0.5).apply({}, x),
      dropout(0.5).apply({}, x, { train: false }),
      dropout(0).apply({}, x, context),
    ])
      expect(difference(y, x)).toBe(0);
    expectNoLeak(() => [dropout(0.5).apply({}, x, context)]);
    expectNoLeak(() => [dropout(0.5).apply({}, x)]);
  });

  test('treats sample i alike in every batch, and layers apart', () => {
    const half = dropout(0.5);
    const whole = half.apply({}, x, context);
    expect(difference(half.apply({}, tf.slice(x, 0, 3), context), tf.slice(whole, 0, 3))).toBe(0);
    const two = module({ a: half, b: half }, ({ a, b }, t: tf.Tensor) => [a(t), b(t)] as const);
    const [a, b] = two.apply({}, x, context);
    expect(difference(a, b)).toBeGreaterThan(0.1);
  });

  test('has the mask as its gradient', () => {
    const half = dropout(0.5);
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(half.apply({}, t, context)))(x);
    expect(difference(tf.mul(gradient, x), half.apply({}, x, context))).toBeLessThan(1e-6);
  });

  test('refuses training without a key, and rates that are none', () => {
    expect(() => dropout(0.5).apply({}, x, { train: true })).toThrow(/needs a key/);
    expect(() => dropout(1)).toThrow(/rate is 1/);
    expect(() => dropout(-0.1)).toThrow(/rate is -0.1/);
  });

  test.runIf(native)('draws anew at each replay of a graph, by its key', () => {
    const net = module({ a: linear(10, 10), drop: dropout(0.5) }, ({ a, drop }, t: tf.Tensor) => drop(a(t)));
    const parameters = net.init(key(1));
    const run = (t: tf.Tensor, k: tf.Tensor1D) => net.apply(parameters, t, { train: true, key: k });
    const compiled = compile(run);
    const drawn = [words(1, 0), words(2, 0), words(1, 5)].map((k) => [compiled(x, k), run(x, k)] as const);
    expect(compiled.captures()).toBe(1);
    for (const [graph, eager] of drawn) expect(difference(graph, eager)).toBeLessThan(1e-6);
    expect(difference(drawn[0]?.[0] as tf.Tensor, drawn[1]?.[0] as tf.Tensor)).toBeGreaterThan(0.1);
    compiled.dispose();
    // A key that the function closes over would be the same at every replay.
    const frozen = words(1, 0);
    expect(() => compile((t: tf.Tensor) => run(t, frozen))(x)).toThrow(/the same noise at every replay/);
  });
});
