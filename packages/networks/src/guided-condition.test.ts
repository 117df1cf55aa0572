import { flatten, fold, key, normal } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { classCondition, guidedCondition, guidedParameters, unet } from './index.js';

const config = {
  ...{
    height: 8,
    width: 8,
    channels: 1,
    classes: 3,
    base: 8,
    multipliers: [1, 2],
    blocks: 1,
    attention: [4],
    groups: 4,
  },
};
const teacher = unet(config);
const student = unet(config, { condition: guidedCondition(classCondition(3, 32), 32) });
const z = normal(key(0), [3, 8, 8, 1]);
const lambda = tf.tensor1d([-2, 0, 3]);
const condition = tf.tensor1d([0, 2, 3], 'int32');
const w = tf.tensor1d([0, 1, 4]);

/** Parameters all of whose values are random, also those that begin at 0. */
const random = (network: { init(k: ReturnType<typeof key>): Parameters }, seed: number): Parameters => {
  const wild = (tree: unknown, k: ReturnType<typeof key>): unknown =>
    tree instanceof tf.Tensor
      ? tf.mul(normal(k, tree.shape), 0.3)
      : Object.fromEntries(Object.entries(tree as object).map(([name, part], i) => [name, wild(part, fold(k, i))]));
  return wild(network.init(key(seed)), key(seed)) as Parameters;
};
const values = (tensor: tf.Tensor) => [...tensor.dataSync()];

describe('guidedCondition', () => {
  test('with the parameters of a teacher the network is the teacher, whatever w', () => {
    const known = random(teacher, 1);
    const own = guidedParameters(student.init(key(2)), known);
    const expected = values(teacher.apply(known, { z, lambda, condition }));
    expect(values(student.apply(own, { z, lambda, condition: { condition, w } }))).toEqual(expected);
    expect(Math.max(...expected)).toBeGreaterThan(0.1);
  });

  test('w matters, of each sample alone, once its last map is not 0', () => {
    const own = random(student, 3);
    const at = (w: tf.Tensor1D) =>
      tf.unstack(student.apply(own, { z, lambda, condition: { condition, w } })).map(values);
    const [first, second] = [at(w), at(tf.tensor1d([0, 2, 4]))];
    expect(second[0]).toEqual(first[0]);
    expect(second[1]).not.toEqual(first[1]);
    expect(second[2]).toEqual(first[2]);
    expectNoLeak(() => student.apply(own, { z, lambda, condition: { condition, w } }));
  });

  test('its class table is the teacher’s, under the name of the weight’s part', () => {
    const names = Object.keys(flatten(student.init(key(0)))).filter((name) => name.startsWith('guided.'));
    expect(names.sort()).toEqual([
      'guided.class.table',
      'guided.linear1.bias',
      'guided.linear1.kernel',
      'guided.linear2.bias',
      'guided.linear2.kernel',
    ]);
  });

  test('copies what it takes, and refuses a teacher of another configuration', () => {
    const known = random(teacher, 1);
    expectNoLeak(() => tf.tidy(() => guidedParameters(student.init(key(2)), known) as never));
    const wide = random(unet({ ...config, base: 16 }), 1);
    expect(() => tf.tidy(() => guidedParameters(student.init(key(2)), wide) as never)).toThrow("the teacher's");
    const more = { ...known, extra: { bias: tf.zeros([1]) } };
    const before = tf.memory().numTensors;
    const fresh = student.init(key(2));
    expect(() => guidedParameters(fresh, more)).toThrow('the teacher has extra.bias, which the network has not');
    tf.dispose(fresh as never);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses weights and conditions that do not fit, before any work', () => {
    const own = student.init(key(2));
    const given = (condition: tf.Tensor1D, w: tf.Tensor1D) => () =>
      student.apply(own, { z, lambda, condition: { condition, w } });
    expect(given(condition, tf.tensor1d([1]))).toThrow('the guidance weights');
    expect(given(tf.tensor1d([0, 1, 2]), w)).toThrow('int32');
    expect(() => guidedCondition(classCondition(3, 32), 32, 1)).toThrow('features is 1');
  });
});
