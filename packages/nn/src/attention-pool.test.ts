import { flatten, key } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSame } from '../test/expect-same.js';
import { attentionPool } from './attention-pool.js';

const [n, h, w, c, heads] = [2, 3, 2, 4, 2];
const layer = attentionPool(c, 5, { tokens: h * w, heads });
const names = ['position', 'qkv.kernel', 'qkv.bias', 'out.kernel', 'out.bias'];

/** Head by head, of the first token alone. */
function reference(...given: tf.Tensor[]): tf.Tensor {
  const [x, position, kernel, bias, outKernel, outBias] = given as [tf.Tensor, ...tf.Tensor[]] & tf.Tensor[];
  const pixels = tf.reshape(x as tf.Tensor, [n, h * w, c]);
  const tokens = tf.add(tf.concat([tf.mean(pixels, 1, true), pixels], 1), position as tf.Tensor);
  const rows = tf.add(tf.matMul(tf.reshape(tokens, [-1, c]), kernel as tf.Tensor), bias as tf.Tensor);
  const [q, k, v] = tf.split(tf.reshape(rows, [n, h * w + 1, 3 * c]), 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const d = c / heads;
  const found = Array.from({ length: heads }, (_, head) => {
    const own = (t: tf.Tensor, count: number) => tf.slice(t, [0, 0, head * d], [n, count, d]);
    const scores = tf.div(tf.matMul(own(q, 1), own(k, h * w + 1), false, true), Math.sqrt(d));
    return tf.matMul(tf.softmax(scores), own(v, h * w + 1));
  });
  return tf.add(tf.matMul(tf.reshape(tf.concat(found, 2), [n, c]), outKernel as tf.Tensor), outBias as tf.Tensor);
}

const check = () => {
  const own = flatten<tf.Tensor>(randomised(layer));
  expect(Object.keys(own)).toEqual(names);
  expectSame(
    (x, position, kernel, bias, outKernel, outBias) =>
      layer.apply(
        { position, qkv: { kernel, bias }, out: { kernel: outKernel, bias: outBias } } as never,
        x as tf.Tensor4D,
      ),
    reference,
    [random(1, n, h, w, c), ...Object.values(own)],
    1e-4,
  );
};

test('pooling by attention is its definition, gradients included', check);

test('so it is on wasm and in plain JavaScript', async () => {
  for (const backend of ['wasm', 'cpu'] as const) await onBackend(backend, check);
});

test('its places begin with a deviation of 1/√channels, and it leaks nothing', () => {
  const { position } = attentionPool(64, 5, { tokens: 99 }).init(key(1)) as { position: tf.Tensor };
  expect(position.shape).toEqual([100, 64]);
  expect(Math.sqrt(tf.mean(tf.square(position)).dataSync()[0] as number)).toBeCloseTo(1 / 8, 2);
  const parameters = randomised(layer);
  const x = random<tf.Tensor4D>(1, n, h, w, c);
  expectNoLeak(() => [layer.apply(parameters, x)]);
  expect(difference(layer.apply(parameters, x), layer.apply(parameters, x))).toBe(0);
});

test('refuses what does not fit', () => {
  expect(() => attentionPool(4, 5, { tokens: 6, heads: 3 })).toThrow(/heads is 3, which does not divide 4 channels/);
  expect(() => attentionPool(4, 5, { tokens: 0 })).toThrow(/tokens is 0/);
  expect(() => layer.apply(randomised(layer), random(1, n, 3, 3, c))).toThrow(/3 × 3 pixels; the layer was made for 6/);
});
