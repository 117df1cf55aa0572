import { flatten } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSame } from '../test/expect-same.js';
import { type Attends, attentionBlock } from './attention-block.js';
import { conv, embedding, groupNorm, linear } from './layers.js';
import * as ops from './ops/index.js';

type T4 = tf.Tensor4D;

describe('layers are their definitions, gradients included', () => {
  test('linear and embedding', () => {
    const layer = linear(3, 4);
    expectSame(
      (x, kernel, bias) => layer.apply({ kernel, bias } as never, x as tf.Tensor),
      (x, kernel, bias) => tf.add(tf.matMul(x as tf.Tensor, kernel as tf.Tensor), bias as tf.Tensor),
      [random(1, 5, 3), random(2, 3, 4), random(3, 4)],
      1e-5,
    );
    const labels = tf.tensor1d([2, 0, 1, 2], 'int32');
    expectSame(
      (table) => embedding(3, 6).apply({ table } as never, labels),
      (table) => tf.gather(table as tf.Tensor, labels),
      [random(1, 3, 6)],
      1e-5,
    );
    // A label outside has no embedding at all.
    const none = embedding(3, 6).apply({ table: random(1, 3, 6) }, tf.tensor1d([3], 'int32'));
    expect(Math.max(...tf.abs(none).dataSync())).toBe(0);
  });

  test('group norm and its defaults', () => {
    const layer = groupNorm(4, 2, { silu: true });
    const x = random<T4>(1, 2, 3, 3, 4);
    const own = { gamma: random(2, 4), beta: random(3, 4) };
    expect(difference(layer.apply(own, x), ops.groupNorm(x, 2, { ...own, silu: true }))).toBe(0);
    expect(difference(layer.apply(own, x), groupNorm(4, 2).apply(own, x))).toBeGreaterThan(0.01);
    expect(() => groupNorm(4, 3)).toThrow(/groups is 3/);
  });
});

describe('convolution', () => {
  const cases = [
    { size: 3, stride: 1, padding: 1 },
    { size: 3, stride: 2, padding: 1 },
    { size: 3, stride: 2, padding: 'same' },
    { size: 2, stride: 2, padding: 0 },
    { size: 1, stride: 2, padding: 'same' },
    { size: 2, stride: 1, padding: 'same' },
    { size: 1, stride: 1, padding: 2 },
    { size: 3, stride: 2, padding: 3 },
    {
      size: 4,
      stride: 3,
      padding: [
        [0, 2],
        [1, 3],
      ],
    },
  ] as const;

  /** By the definition, pixel by pixel. */
  function reference(x: T4, kernel: T4, stride: number, around: number[][]): tf.Tensor {
    const padded = tf.pad(x, [[0, 0], ...around, [0, 0]] as never);
    const [k, l, from, to] = kernel.shape;
    const [h, w] = [1, 2].map(
      (axis) => Math.floor(((padded.shape[axis] as number) - (axis === 1 ? k : l)) / stride) + 1,
    );
    const rows = Array.from({ length: h as number }, (_, i) =>
      tf.stack(
        Array.from({ length: w as number }, (_, j) => {
          const patch = tf.slice(padded, [0, i * stride, j * stride, 0], [x.shape[0], k, l, from]);
          return tf.matMul(tf.reshape(patch, [x.shape[0], k * l * from]), tf.reshape(kernel, [k * l * from, to]));
        }),
        1,
      ),
    );
    return tf.stack(rows, 1);
  }

  const pairs = (padding: (typeof cases)[number]['padding'], size: number, stride: number, h: number, w: number) => {
    if (typeof padding === 'number')
      return [
        [padding, padding],
        [padding, padding],
      ];
    if (padding !== 'same') return padding as unknown as number[][];
    return [h, w].map((length) => {
      const total = Math.max((Math.ceil(length / stride) - 1) * stride + size - length, 0);
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  };

  const check = ({ size, stride, padding }: (typeof cases)[number], gradients?: ops.ConvGradients) =>
    expectSame(
      (x, k) => ops.conv2d(x as T4, k as T4, { stride, padding, gradients }),
      (x, k) => reference(x as T4, k as T4, stride, pairs(padding, size, stride, 6, 5)),
      [random(1, 2, 6, 5, 3), random(2, size, size, 3, 2)],
      2e-5,
    );

  test.each(cases)('with $size, stride $stride, padding $padding is its definition on every backend', async (given) => {
    check(given);
    check(given, 'composed');
    for (const backend of ['wasm', 'cpu'] as const)
      await onBackend(backend, () => check(given, backend === 'wasm' ? undefined : 'composed'));
  });

  test('as a layer takes its options and its bias', () => {
    const layer = conv(3, 2, { size: 4, stride: 2, padding: 1 });
    const parameters = { kernel: random<T4>(1, 4, 4, 3, 2), bias: tf.tensor1d([10, 20]) };
    const x = random<T4>(2, 1, 6, 6, 3);
    const expected = tf.add(ops.conv2d(x, parameters.kernel, { stride: 2, padding: 1 }), parameters.bias);
    expect(difference(layer.apply(parameters, x), expected)).toBe(0);
    expect(layer.apply(parameters, x).shape).toEqual([1, 3, 3, 2]);
    expectNoLeak(() => [layer.apply(parameters, x)]);
    expect(() => conv(3, 2, { stride: 0 })).toThrow(/stride is 0/);
    for (const padding of [-1, 0.5, 'valid'] as const)
      expect(() => ops.conv2d(x, parameters.kernel, { padding: padding as number })).toThrow(`padding is ${padding};`);
  });
});

describe('attention block', () => {
  const [n, h, w, c] = [2, 3, 2, 4];
  const block = (attends: Attends, heads = 1) => attentionBlock(c, { groups: 2, heads, attends });
  const parameters = randomised(block('softmax'));
  const own = flatten<tf.Tensor>(parameters);
  const at = (name: string) => own[name] as tf.Tensor;
  const x = random<T4>(1, n, h, w, c);
  /** x + out(mix(q, k, v)), each of q, k and v [n, t, c]. */
  const reference = (mix: (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => tf.Tensor) => {
    const normed = ops.groupNorm(x, 2, { gamma: at('norm.gamma'), beta: at('norm.beta') });
    const rows = tf.add(tf.matMul(tf.reshape(normed, [n * h * w, c]), at('qkv.kernel')), at('qkv.bias'));
    const [q, k, v] = tf.split(tf.reshape(rows, [n, h * w, 3 * c]), 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const mixed = tf.reshape(mix(q, k, v), [n * h * w, c]);
    return tf.add(x, tf.reshape(tf.add(tf.matMul(mixed, at('out.kernel')), at('out.bias')), [n, h, w, c]));
  };
  const softmax = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
    tf.matMul(tf.softmax(tf.div(tf.matMul(q, k, false, true), Math.sqrt(c))), v);
  const run = (attends: Attends) => block(attends).apply(parameters, x);

  test('is softmax attention; under identity the values alone pass (PAG)', () => {
    expect(difference(run('softmax'), reference(softmax))).toBeLessThan(1e-5);
    expect(
      difference(
        run('identity'),
        reference((_q, _k, v) => v),
      ),
    ).toBeLessThan(1e-5);
  });

  test('blurs the queries, and neither keys nor values (SEG)', () => {
    const means = (t: tf.Tensor) => tf.add(tf.zerosLike(t), tf.mean(t, 1, true));
    const infinite = run({ blur: Number.POSITIVE_INFINITY });
    expect(
      difference(
        infinite,
        reference((q, k, v) => softmax(means(q), k, v)),
      ),
    ).toBeLessThan(1e-5);
    expect(
      difference(
        infinite,
        reference((q, k, v) => softmax(q, means(k), v)),
      ),
    ).toBeGreaterThan(1e-4);
    const blur = (t: tf.Tensor) => tf.matMul(tf.tile(tf.expandDims(ops.blurMatrix(h, w, 0.6), 0), [n, 1, 1]), t);
    expect(
      difference(
        run({ blur: 0.6 }),
        reference((q, k, v) => softmax(blur(q), k, v)),
      ),
    ).toBeLessThan(1e-5);
  });

  test('leaks nothing, and is left out on request', () => {
    for (const attends of ['softmax', 'identity', { blur: 1 }] as const) expectNoLeak(() => [run(attends)]);
    expect(difference(attentionBlock(c, { groups: 2, branch: false }).apply(parameters, x), x)).toBe(0);
    expect(() => attentionBlock(4, { groups: 2, heads: 3 })).toThrow(/heads is 3/);
  });
});
