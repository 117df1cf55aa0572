import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random } from '../../../../test/modules.js';
import { expectSame } from '../../test/expect-same.js';
import { addBias, addResidual } from './bias.js';
import { conv2d } from './conv2d.js';
import { linear } from './linear.js';
import { bilinear, downsample, upsample } from './resample.js';
import { silu } from './silu.js';

type T4 = tf.Tensor4D;

test.each([1, 3, 5])('the composed gradients of a %i×%i convolution are those of the kernels', async (size) => {
  const inputs = () => [random<T4>(1, 2, 6, 5, 3), random<T4>(2, size, size, 3, 4)];
  const composed = (...[x, k]: tf.Tensor[]) => conv2d(x as T4, k as T4, { gradients: 'composed' });
  const kernels = (...[x, k]: tf.Tensor[]) => conv2d(x as T4, k as T4, { gradients: 'kernels' });
  await onBackend('cpu', () => expectSame(composed, kernels, inputs(), 1e-5));
});

describe('a 3×3 convolution with bias and residual', () => {
  // Of a size that a kernel of the backend's takes, where it has one.
  const inputs = () => [
    random<T4>(1, 2, 9, 7, 16),
    random<T4>(2, 3, 3, 16, 32),
    random(3, 32),
    random<T4>(4, 2, 9, 7, 32),
  ];
  const own = (...[x, k, b, r]: tf.Tensor[]) => conv2d(x as T4, k as T4, { bias: b, residual: r as T4 });

  test('is the convolution and two sums, with their gradients', () => {
    const sums = (...[x, k, b, r]: tf.Tensor[]) =>
      tf.add(tf.add(tf.conv2d(x as T4, k as T4, 1, 'same'), b as T4), r as T4);
    expectSame(own, sums, inputs(), 1e-5);
    const square = [random<T4>(1, 2, 5, 8, 16), random<T4>(2, 3, 3, 16, 16), random(3, 16)];
    expectSame(
      (x, k, b) => own(x as T4, k as T4, b as T4, x as T4),
      (x, k, b) => sums(x as T4, k as T4, b as T4, x as T4),
      square,
      1e-5,
    );
    expectSame(
      (x, k) => conv2d(x as T4, k as T4),
      (x, k) => tf.conv2d(x as T4, k as T4, 1, 'same'),
      square.slice(0, 2),
      1e-5,
    );
    expectSame(
      (x, k) => conv2d(x as T4, k as T4, { residual: x as T4 }),
      (x, k) => tf.add(x as T4, tf.conv2d(x as T4, k as T4, 1, 'same')),
      square.slice(0, 2),
      1e-5,
    );
  });

  test('has the gradients of finite differences', () => {
    tf.tidy(() => {
      const at = inputs();
      const dy = random(5, 2, 9, 7, 32);
      const value = (given: tf.Tensor[]) => tf.sum(tf.mul(own(...given), dy)).dataSync()[0] as number;
      tf.grads(own)(at, dy).forEach((gradient, i) => {
        const way = random(6 + i, ...gradient.shape);
        // Linear in each input, so the step may be large.
        const moved = (step: number) => value(at.map((t, j) => (i === j ? tf.add(t, tf.mul(way, step)) : t)));
        const slope = tf.sum(tf.mul(gradient, way)).dataSync()[0] as number;
        const scale = tf.norm(gradient).dataSync()[0] as number;
        expect(Math.abs((moved(1) - moved(-1)) / 2 - slope) / scale).toBeLessThan(1e-4);
      });
    });
  });

  test('makes no gradient by the weights where none is asked for, and leaks nothing', async () => {
    const [x, k, b, r] = inputs() as [T4, T4, tf.Tensor, T4];
    const loss = (x: tf.Tensor) => tf.sum(own(x, k, b, r)) as tf.Scalar;
    const { kernelNames } = await tf.profile(() => tf.grad(loss)(x));
    expect(kernelNames.filter((name) => name.includes('Filter'))).toEqual([]);
    expectNoLeak(() => [own(x, k, b, r)]);
    expectNoLeak(() => [tf.grad(loss)(x)]);
    tf.dispose([x, k, b, r]);
  });

  test('is the same on wasm and in plain JavaScript', async () => {
    const expected = own(...inputs()).arraySync();
    for (const backend of ['wasm', 'cpu'] as const)
      await onBackend(backend, () => expect(difference(own(...inputs()), tf.tensor(expected))).toBeLessThan(1e-5));
  });
});

test('silu is x · sigmoid(x), far from 0 too', () => {
  const x = tf.tensor1d([-80, -3, -0.5, 0, 0.5, 3, 80]);
  expectSame(
    (x) => silu(x as tf.Tensor),
    (x) => tf.mul(x as tf.Tensor, tf.sigmoid(x as tf.Tensor)),
    [x],
    1e-5,
  );
  expectNoLeak(() => [silu(x)]);
  x.dispose();
});

test('linear maps the last axis', () => {
  const composed = (...[x, w]: tf.Tensor[]) =>
    tf.reshape(tf.matMul(tf.reshape(x as tf.Tensor, [-1, 3]), w as tf.Tensor), [2, 2, 4]);
  expectSame((x, w) => linear(x as tf.Tensor, w as tf.Tensor2D), composed, [random(1, 2, 2, 3), random(2, 3, 4)], 1e-5);
  expectSame(
    (x, w) => linear(x as tf.Tensor, w as tf.Tensor2D),
    (x, w) => tf.matMul(x as tf.Tensor, w as tf.Tensor),
    [random(1, 5, 3), random(2, 3, 4)],
    1e-5,
  );
});

test('bias and residual are sums, and one tensor may be both x and the residual', () => {
  const add = tf.add as (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
  const inputs = [random(1, 2, 3, 3, 4), random(2, 2, 3, 3, 4), random(3, 4)];
  expectSame(
    (x, r, b) => addResidual(x as T4, r as T4, b as tf.Tensor),
    (x, r, b) => add(add(x as T4, r as T4), b as tf.Tensor),
    inputs,
    1e-5,
  );
  const [x, , b] = inputs as [T4, T4, tf.Tensor];
  expectSame(
    (x, b) => addResidual(x as T4, addBias(x as T4, b as tf.Tensor), b as tf.Tensor),
    (x, b) => tf.mul(add(x as T4, b as tf.Tensor), 2),
    [x, b],
    1e-5,
  );
});

test('upsampling repeats pixels, downsampling averages them', () => {
  const x = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
  expect(Array.from(upsample(x).dataSync())).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  expect(Array.from(downsample(x).dataSync())).toEqual([2.5]);
});

test('bilinear interpolation is that of PyTorch, on every backend', async () => {
  // F.interpolate(x, (3, 5), mode='bilinear')
  const expected = [1, 1.4, 2, 2.6, 3, 2.5, 2.9, 3.5, 4.1, 4.5, 4, 4.4, 5, 5.6, 6];
  const run = () => bilinear(tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 2, 3, 1]), 3, 5).dataSync();
  const all = [run(), await onBackend('wasm', run), await onBackend('cpu', run)];
  for (const values of all)
    [...values].forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 5);
    });
  const x = random<T4>(1, 2, 3, 4, 2);
  expectNoLeak(() => [bilinear(x, 5, 7)]);
});

test('the gradients of resampling are those of linear maps', () => {
  // Both maps are linear, so ⟨dy, f(x)⟩ = ⟨gradient, x⟩ must hold for any dy.
  tf.tidy(() => {
    for (const [f, shape, out] of [
      [downsample, [2, 6, 4, 3], [2, 3, 2, 3]],
      [upsample, [2, 3, 2, 3], [2, 6, 4, 3]],
      [(x: T4) => bilinear(x, 9, 4), [2, 3, 5, 3], [2, 9, 4, 3]],
      [(x: T4) => bilinear(x, 2, 7), [2, 5, 3, 3], [2, 2, 7, 3]],
    ] as const) {
      const [x, dy] = [random<T4>(1, ...shape), random<T4>(2, ...out)];
      const gradient = tf.grad((x) => f(x as T4))(x, dy);
      expect(difference(tf.sum(tf.mul(gradient, x)), tf.sum(tf.mul(dy, f(x))))).toBeLessThan(1e-5);
    }
  });
});
