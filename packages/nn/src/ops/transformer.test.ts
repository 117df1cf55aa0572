import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random } from '../../../../test/modules.js';
import { expectSame } from '../../test/expect-same.js';
import { conv2d } from './conv2d.js';
import { gelu } from './gelu.js';
import { layerNorm } from './layer-norm.js';
import { patchify, unpatchify } from './patches.js';
import { positionTable } from './position-table.js';

const expectClose = (got: tf.Tensor, expected: readonly number[], most = 1e-6) =>
  got.dataSync().forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThan(most);
  });

const everywhere = async (check: () => void) => {
  check();
  for (const backend of ['wasm', 'cpu'] as const) await onBackend(backend, check);
};

describe('layer norm', () => {
  /** The definition, step by step. */
  const reference = (x: tf.Tensor, epsilon: number) => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.mul(centred, centred), -1, true), epsilon)));
  };

  test.each([
    [undefined, undefined],
    [[6], undefined],
    [undefined, [6]],
    [[6], [6]],
    [
      [2, 1, 6],
      [2, 1, 6],
    ],
    [
      [2, 3, 6],
      [2, 3, 1],
    ],
  ] as const)('with γ %o and β %o is its definition, gradients included, on every backend', (gain, move) =>
    everywhere(() => {
      const inputs = [
        random(1, 2, 3, 6),
        ...[gain, move].flatMap((shape, i) => (shape ? [random(2 + i, ...shape)] : [])),
      ];
      const split = (rest: tf.Tensor[]) => ({ gamma: gain && rest[0], beta: move && rest[gain ? 1 : 0] });
      expectSame(
        (x, ...rest) => layerNorm(x as tf.Tensor, { ...split(rest), epsilon: 1e-2 }),
        (x, ...rest) => {
          const { gamma, beta } = split(rest);
          const y = tf.mul(reference(x as tf.Tensor, 1e-2), gamma ?? 1);
          return tf.add(y, beta ?? 0);
        },
        inputs,
        1e-5,
      );
    }),
  );

  test('a mean of 1000 deviations costs no accuracy, a constant row gives β, and nothing leaks', () => {
    const exact = tf.tidy(() => tf.div(tf.round(tf.mul(random(1, 4, 64), 128)), 128));
    const beta = tf.ones([64]);
    expect(difference(layerNorm(tf.add(exact, 1000)), layerNorm(exact))).toBeLessThan(1e-3);
    expect([...layerNorm(tf.fill([1, 64], 3), { beta }).dataSync()]).toEqual(Array(64).fill(1));
    for (const inputs of [{}, { beta }, { gamma: beta, beta }]) {
      expectNoLeak(() => [layerNorm(exact, inputs)]);
      expectNoLeak(() => [tf.grad((x) => layerNorm(x, inputs))(exact)]);
    }
  });
});

describe('GELU', () => {
  const at = [-80, -3, -1, -0.5, 0, 0.3, 1, 2.5, 80];

  test('is x Φ(x), or its form of the hyperbolic tangent, far from 0 too', () =>
    everywhere(() => {
      const x = tf.tensor1d(at);
      const tanh = (v: number) => (v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))) / 2;
      expectClose(gelu(x), at.map(tanh), 1e-5);
      // Φ at −3, −1, 0.3 and 1.
      const known = [-3 * 1.349898e-3, -0.1586553, 0.3 * 0.6179114, 0.8413447];
      expectClose(gelu(tf.tensor1d([-3, -1, 0.3, 1]), 'exact'), known, 1e-5);
      expect(Math.max(...tf.abs(tf.sub(gelu(x), gelu(x, 'exact'))).dataSync())).toBeLessThan(5e-4);
    }));

  test.each(['tanh', 'exact'] as const)(
    '%s has the gradient of finite differences, and leaks nothing',
    async (form) => {
      await everywhere(() =>
        tf.tidy(() => {
          const x = tf.tensor1d(at.slice(1, -1));
          const step = 1e-2;
          const f = (by: number) => gelu(tf.add(x, by), form);
          const slope = tf.div(
            tf.sub(tf.mul(tf.sub(f(step), f(-step)), 8), tf.sub(f(2 * step), f(-2 * step))),
            12 * step,
          );
          const exact = tf.grad((x) => gelu(x, form))(x);
          expect(Math.max(...tf.abs(tf.sub(exact, slope)).dataSync())).toBeLessThan(2e-4);
        }),
      );
      const x = tf.tensor1d(at);
      expectNoLeak(() => [gelu(x, form)]);
      expectNoLeak(() => [tf.grad((x) => gelu(x, form))(x)]);
    },
  );
});

describe('patches', () => {
  test('of p×p pixels are what a convolution of stride p sees, and become the image again', () =>
    everywhere(() => {
      for (const [p, h, w] of [
        [2, 4, 6],
        [3, 6, 3],
        [1, 2, 3],
      ] as const) {
        const x = random<tf.Tensor4D>(1, 2, h, w, 3);
        const kernel = random<tf.Tensor4D>(2, p, p, 3, 5);
        expectSame(
          (x, k) =>
            tf.matMul(tf.reshape(patchify(x as tf.Tensor4D, p), [-1, p * p * 3]), tf.reshape(k as tf.Tensor, [-1, 5])),
          (x, k) => tf.reshape(conv2d(x as tf.Tensor4D, k as tf.Tensor4D, { stride: p }), [-1, 5]),
          [x, kernel],
          1e-5,
        );
        expect(difference(unpatchify(patchify(x, p), p, h, w), x)).toBe(0);
        expectNoLeak(() => [patchify(x, p)]);
      }
    }));
});

test('the position table has the columns first, sines before cosines', () => {
  // Rows 0 … 3 of the original's get_2d_sincos_pos_embed(8, 2), and row 6, that is (1, 2), of (12, 4).
  const [none, one] = [
    [0, 0, 1, 1],
    [0.84147098, 0.00999983, 0.54030231, 0.99995],
  ];
  expectClose(positionTable(2, 2, 8), [none, none, one, none, none, one, one, one].flat());
  const row = [0.90929743, 0.0926985, 0.00430886, -0.41614684, 0.99569422, 0.99999072];
  const column = [0.84147098, 0.04639922, 0.00215443, 0.54030231, 0.99892298, 0.99999768];
  expectClose(tf.slice(positionTable(4, 4, 12), [6, 0], [1, 12]), [...row, ...column]);
  expect(positionTable(3, 5, 12).shape).toEqual([15, 12]);
  expectNoLeak(() => [positionTable(3, 5, 12)]);
});
