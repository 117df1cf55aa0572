import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, expectSame, onBackend, random } from '../../test/tools.js';
import { groupNorm } from './group-norm.js';

const [n, h, w, c, groups] = [2, 4, 3, 6, 3];

/** The definition, step by step. */
function reference(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  options: { bias?: tf.Tensor; film?: tf.Tensor[]; silu: boolean },
) {
  const grouped = tf.reshape(options.bias ? tf.add(x, options.bias) : x, [n, h * w, groups, c / groups]);
  const mean = tf.mean(grouped, [1, 3], true);
  const variance = tf.mean(tf.square(tf.sub(grouped, mean)), [1, 3], true);
  const normed = tf.reshape(tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, 1e-5))), [n, h, w, c]);
  let y = tf.add(tf.mul(normed, gamma), beta);
  const [scale, shift] = options.film ?? [];
  if (scale && shift) y = tf.add(tf.mul(y, tf.add(scale, 1)), shift);
  return options.silu ? tf.mul(y, tf.sigmoid(y)) : y;
}

const cases = [false, true].flatMap((bias) =>
  [false, true].flatMap((film) => [false, true].map((silu) => ({ bias, film, silu }))),
);

const check = ({ bias, film, silu }: { bias: boolean; film: boolean; silu: boolean }) =>
  tf.tidy(() => {
    const all = [random(1, n, h, w, c), random(2, c), random(3, c)];
    if (bias) all.push(random(4, c));
    if (film) all.push(random(5, n, 1, 1, c), random(6, n, 1, 1, c));
    const rest = (extra: tf.Tensor[]) => {
      const [scale, shift] = extra.slice(bias ? 1 : 0);
      return { bias: bias ? extra[0] : undefined, film: scale && shift ? { scale, shift } : undefined };
    };
    expectSame(
      (x, gamma, beta, ...extra) =>
        groupNorm(x as tf.Tensor4D, groups, {
          gamma: gamma as tf.Tensor,
          beta: beta as tf.Tensor,
          silu,
          ...rest(extra),
        }),
      (x, gamma, beta, ...extra) => {
        const parts = rest(extra);
        const given = {
          ...(parts.bias ? { bias: parts.bias } : {}),
          ...(parts.film ? { film: Object.values(parts.film) } : {}),
        };
        return reference(x as tf.Tensor, gamma as tf.Tensor, beta as tf.Tensor, { ...given, silu });
      },
      all,
      2e-5,
    );
  });

test.each(cases)('values and all gradients are those of the definition, $bias $film $silu', check);

test('so they are on wasm and in plain JavaScript', async () => {
  for (const backend of ['wasm', 'cpu'] as const)
    await onBackend(backend, () => check({ bias: true, film: true, silu: true }));
});

test('a mean of 1000 deviations costs no accuracy in the variance', () => {
  tf.tidy(() => {
    const x = random<tf.Tensor4D>(1, n, h, w, c);
    // Multiples of 2⁻⁷ stay exact when 1000 is added, so both norms see the same deviations.
    const exact = tf.div(tf.round(tf.mul(x, 128)), 128) as tf.Tensor4D;
    const inputs = { gamma: tf.ones([c]), beta: tf.zeros([c]) };
    const near = groupNorm(exact, groups, inputs);
    const far = groupNorm(tf.add(exact, 1000) as tf.Tensor4D, groups, inputs);
    expect(difference(far, near)).toBeLessThan(1e-3);
  });
});

test('leaks nothing', () => {
  const x = random<tf.Tensor4D>(1, 1, 2, 2, 4);
  const [gamma, beta] = [tf.ones([4]), tf.zeros([4])];
  expectNoLeak(() => [groupNorm(x, 2, { gamma, beta })]);
  tf.dispose([x, gamma, beta]);
});
