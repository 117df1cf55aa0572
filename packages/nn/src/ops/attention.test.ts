import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak, onBackend, random } from '../../../../test/modules.js';
import { expectSame } from '../../test/expect-same.js';
import { attention } from './attention.js';

/** By the definition, head by head. */
function reference(qkv: tf.Tensor, heads: number): tf.Tensor {
  const [n, t, channels] = qkv.shape as [number, number, number];
  const [c, d] = [channels / 3, channels / 3 / heads];
  const part = (which: number, head: number) => tf.slice(qkv, [0, 0, which * c + head * d], [n, t, d]);
  const one = (head: number) => {
    const scores = tf.div(tf.matMul(part(0, head), part(1, head), false, true), Math.sqrt(d));
    return tf.matMul(tf.softmax(scores), part(2, head));
  };
  return tf.concat(
    Array.from({ length: heads }, (_, head) => one(head)),
    2,
  );
}

const check = (shape: number[], heads: number, method?: 'composed') =>
  expectSame(
    (x) => attention(x as tf.Tensor3D, heads, method),
    (x) => reference(x as tf.Tensor, heads),
    [random(1, ...shape)],
    2e-5,
  );

describe('attention is softmax(QKᵀ/√d)V head by head, gradients included', () => {
  test.each([1, 2])('with %i heads, on every backend', async (heads) => {
    check([2, 5, 12], heads);
    check([2, 5, 12], heads, 'composed');
    for (const backend of ['wasm', 'cpu'] as const) await onBackend(backend, () => check([2, 5, 12], heads));
  });

  // The last block has fewer queries than the others.
  test.each([
    [[1, 2100, 6], 1],
    [[2, 1100, 12], 2],
  ] as const)('in blocks of queries at %o with %i heads', (shape, heads) => check([...shape], heads, 'composed'));

  test('so it is in blocks on wasm', () => onBackend('wasm', () => check([2, 1500, 6], 1)));
});

test('composed attention of 4096 tokens holds no table of all scores, nor does its gradient, and leaks nothing', async () => {
  const qkv = random<tf.Tensor3D>(1, 1, 4096, 12);
  const dy = random(2, 1, 4096, 4);
  const op = (x: tf.Tensor) => attention(x as tf.Tensor3D, 1, 'composed');
  const seen = await tf.profile(() => {
    const y = op(qkv);
    const slope = tf.grad(op)(qkv, dy);
    return [y, slope];
  });
  const largest = Math.max(
    ...seen.kernels.flatMap(({ outputShapes }) =>
      outputShapes.map((shape) => tf.util.sizeFromShape(shape as number[])),
    ),
  );
  expect(largest).toBeLessThanOrEqual(4096 ** 2 / 4);
  // The tables of a block: scores, their softmax, its gradient and what it is made of.
  expect(seen.peakBytes - tf.memory().numBytes).toBeLessThan(4 * 4096 ** 2 * 1.6);
  tf.dispose(seen.result as tf.Tensor[]);
  expectNoLeak(() => [op(qkv), tf.grad(op)(qkv, dy)]);
});
