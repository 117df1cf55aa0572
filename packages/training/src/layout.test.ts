import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { layout } from './layout.js';

test('unpack undoes pack, whatever the order of names', () => {
  const before = tf.memory().numTensors;
  const parameters = { b: tf.tensor2d([[1, 2, 3]]), a: tf.scalar(4), c: tf.tensor1d([5]) };
  const one = layout({ b: [1, 3], a: [], c: [1] });
  const [vector] = one.pack(parameters) as [tf.Tensor1D];
  const [other] = layout({ c: [1], a: [], b: [1, 3] }).pack(parameters) as [tf.Tensor1D];
  expect(other.dataSync()).toEqual(vector.dataSync());
  const back = one.unpack([vector]) as Record<string, tf.Tensor>;
  expect(Object.entries(back).map(([name, value]) => [name, value.shape, [...value.dataSync()]])).toEqual([
    ['b', [1, 3], [1, 2, 3]],
    ['a', [], [4]],
    ['c', [1], [5]],
  ]);
  expect(tf.memory().numTensors).toBe(before + 3 + 2 + 3);
  tf.dispose([parameters, vector, other, back] as unknown as tf.TensorContainer);
});

test('a parameter that the loss leaves out has gradient zero', () => {
  tf.tidy(() => {
    const { unpack } = layout({ a: [2], b: [1] });
    const gradient = tf.grad((vector) => tf.sum(tf.square(unpack([vector]).a as tf.Tensor)))(tf.tensor1d([1, 2, 3]));
    expect([...gradient.dataSync()]).toEqual([2, 4, 0]);
  });
});

test('refuses nothing and parameters without elements', () => {
  expect(() => layout({})).toThrow(/there are no parameters/);
  expect(() => layout({ w: [3, 0] })).toThrow(/"w" of shape \[3,0\] has no elements/);
  expect(() => tf.tidy(() => layout({ w: [3] }).pack({ w: tf.ones([2]) }))).toThrow(/w is \[2\], must be \[3\]/);
});

test('groups have a vector each, and names are nested', () => {
  tf.tidy(() => {
    const { groups, pack, unpack } = layout({ 'net.w': [2], 'net.b': [1], out: [1] }, (path) =>
      path === 'net.b' ? 3 : 1,
    );
    expect(groups).toEqual([1, 3]);
    const vectors = pack({ net: { w: tf.tensor1d([1, 2]), b: tf.tensor1d([3]) }, out: tf.tensor1d([4]) });
    expect(vectors.map((vector) => [...vector.dataSync()])).toEqual([[1, 2, 4], [3]]);
    const { net, out } = unpack(vectors) as { net: Record<string, tf.Tensor>; out: tf.Tensor };
    expect([net.w, net.b, out].map((tensor) => [...(tensor as tf.Tensor).dataSync()])).toEqual([[1, 2], [3], [4]]);
  });
});
