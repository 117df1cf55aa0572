import { flatten, unflatten } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSame } from '../test/expect-same.js';
import * as ops from './ops/index.js';
import { films, type Modulation, type ResidualBlockOptions, residualBlock } from './residual-block.js';

type T4 = tf.Tensor4D;

const options = { embedding: 6, groups: 2 };
const input = { x: random<T4>(1, 2, 4, 4, 4), condition: random<tf.Tensor2D>(2, 2, 6) };
const parameters = randomised(residualBlock(4, 4, options));

/** The block step by step, of operations of the library's alone. */
function reference(
  to: number,
  names: readonly string[],
  { scaleShift = true, resample, epsilon = 1e-5 }: Omit<ResidualBlockOptions, 'embedding' | 'groups'>,
) {
  return (x: tf.Tensor, embedding: tf.Tensor, ...values: tf.Tensor[]) => {
    const at = (name: string) => values[names.indexOf(name)] as tf.Tensor;
    const silu = (t: tf.Tensor) => tf.mul(t, tf.sigmoid(t));
    const norm = (t: tf.Tensor, name: string) => {
      const [n, h, w, c] = t.shape as [number, number, number, number];
      const grouped = tf.reshape(t, [n, h * w, 2, c / 2]);
      const { mean, variance } = tf.moments(grouped, [1, 3], true);
      const normed = tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, epsilon)));
      return tf.add(tf.mul(tf.reshape(normed, t.shape), at(`${name}.gamma`)), at(`${name}.beta`));
    };
    const resized = (t: tf.Tensor): tf.Tensor => {
      if (resample === 'down') return tf.avgPool(t as T4, 2, 2, 'valid');
      return resample === 'up' ? ops.upsample(t as T4) : t;
    };
    const convolve = (t: tf.Tensor, name: string) =>
      tf.add(tf.conv2d(t as T4, at(`${name}.kernel`) as T4, 1, 'same'), at(`${name}.bias`));
    const map = (t: tf.Tensor, kernel: tf.Tensor) =>
      tf.reshape(tf.matMul(tf.reshape(t, [-1, 4]), kernel), [...t.shape.slice(0, -1), to]);
    const film = tf.add(tf.matMul(embedding, at('film.kernel')), at('film.bias'));
    const part = (i: number) => tf.slice(tf.reshape(film, [2, 1, 1, -1]), [0, 0, 0, i * to], [2, 1, 1, to]);
    const [shift, scale] = scaleShift ? [part(1), part(0)] : [part(0)];
    const first = convolve(resized(silu(norm(x, 'norm1'))), 'conv1');
    const second = scale
      ? tf.add(tf.mul(norm(first, 'norm2'), tf.add(scale, 1)), shift as tf.Tensor)
      : norm(tf.add(first, shift as tf.Tensor), 'norm2');
    const skipped = to === 4 ? resized(x) : map(resized(x), at('skip.kernel'));
    const around = names.includes('skip.bias') ? tf.add(skipped, at('skip.bias')) : skipped;
    return tf.add(around, convolve(silu(second), 'conv2'));
  };
}

const forms = [
  {},
  { scaleShift: false },
  { skipBias: true, epsilon: 0.3 },
  { resample: 'down' },
  { resample: 'up' },
  { resample: 'down', scaleShift: false, skipBias: true, epsilon: 1e-6 },
] as const;

function check(to: number, form: (typeof forms)[number], tolerance: number): void {
  const block = residualBlock(4, to, { ...options, ...form });
  const own = flatten<tf.Tensor>(randomised(block));
  const names = Object.keys(own);
  const nested = (values: tf.Tensor[]) =>
    unflatten(Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor])));
  expectSame(
    (x, condition, ...values) =>
      block.apply(nested(values) as never, { x: x as T4, condition: condition as tf.Tensor2D }),
    reference(to, names, form) as never,
    [input.x, input.condition, ...Object.values(own)],
    tolerance,
  );
}

test.each(forms.flatMap((form) => [4, 8].map((to) => ({ form, to }))))(
  '$form to $to channels is its definition, gradients included',
  async ({ form, to }) => {
    check(to, form, 2e-4);
  },
);

test('so it is on wasm and in plain JavaScript', async () => {
  for (const backend of ['wasm', 'cpu'] as const)
    await onBackend(backend, () => {
      const form = { resample: 'down', scaleShift: false, skipBias: true } as const;
      const block = residualBlock(4, 8, { ...options, ...form });
      const own = flatten<tf.Tensor>(randomised(block));
      const expected = reference(8, Object.keys(own), form)(input.x, input.condition, ...Object.values(own));
      expect(difference(block.apply(unflatten(own) as never, input), expected)).toBeLessThan(1e-4);
    });
});

test.each(forms)('%j takes what `films` makes, leaves its branch out, and leaks nothing', (form) => {
  const block = residualBlock(4, 8, { ...options, ...form });
  const own = randomised(block);
  const { scaleShift, resample } = { scaleShift: true, resample: undefined, ...form };
  const [film] = films([{ parameters: own.film as never }], input.condition, scaleShift);
  const whole = block.apply(own, input);
  expect(difference(block.apply(own, { x: input.x, condition: film as Modulation }), whole)).toBe(0);
  expectNoLeak(() => [block.apply(own, input)]);
  const around = residualBlock(4, 8, { ...options, ...form, branch: false }).apply(own, input);
  const { kernel, bias } = own.skip as { kernel: tf.Tensor2D; bias?: tf.Tensor };
  const resized = resample ? { down: ops.downsample, up: ops.upsample }[resample](input.x) : input.x;
  expect(difference(around, ops.linear(resized, kernel, { bias }))).toBe(0);
  const none = residualBlock(4, 4, { ...options, ...form, branch: false });
  const same = randomised(none);
  expectNoLeak(() => [none.apply(same, input)]);
  expect(difference(none.apply(same, input), resized)).toBe(0);
});

test('drops in training, by the key', () => {
  const block = residualBlock(4, 4, { ...options, dropout: 0.5 });
  const at = (seed: number) => block.apply(parameters, input, { train: true, key: tf.tensor1d([seed, 0], 'int32') });
  expect(difference(at(1), at(1))).toBe(0);
  expect(difference(at(1), at(2))).toBeGreaterThan(1e-3);
  expect(difference(block.apply(parameters, input), residualBlock(4, 4, options).apply(parameters, input))).toBe(0);
});
