import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random } from '../../../../test/modules.js';
import { expectSame } from '../../test/expect-same.js';
import { type GroupNormMethod, groupNorm, groupNormMethod } from './group-norm.js';

interface Size {
  n: number;
  h: number;
  w: number;
  c: number;
  groups: number;
}
const small: Size = { n: 2, h: 4, w: 3, c: 6, groups: 3 };

/** The definition, step by step. */
function reference(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  { n, h, w, c, groups }: Size,
  options: { bias?: tf.Tensor; film?: tf.Tensor[]; silu: boolean; epsilon?: number | undefined },
) {
  const grouped = tf.reshape(options.bias ? tf.add(x, options.bias) : x, [n, h * w, groups, c / groups]);
  const mean = tf.mean(grouped, [1, 3], true);
  const variance = tf.mean(tf.square(tf.sub(grouped, mean)), [1, 3], true);
  const normed = tf.reshape(tf.div(tf.sub(grouped, mean), tf.sqrt(tf.add(variance, options.epsilon ?? 1e-5))), [
    n,
    h,
    w,
    c,
  ]);
  let y = tf.add(tf.mul(normed, gamma), beta);
  const [scale, shift] = options.film ?? [];
  if (scale && shift) y = tf.add(tf.mul(y, tf.add(scale, 1)), shift);
  return options.silu ? tf.mul(y, tf.sigmoid(y)) : y;
}

const cases = [false, true].flatMap((bias) =>
  [false, true].flatMap((film) => [false, true].map((silu) => ({ bias, film, silu }))),
);

interface Case {
  /** `each`: every sample has a bias of its own. */
  bias: boolean | 'each';
  film: boolean;
  silu: boolean;
  epsilon?: number;
}
const everything: Case = { bias: true, film: true, silu: true };
const check = ({ bias, film, silu, epsilon }: Case, method: GroupNormMethod, size = small) =>
  tf.tidy(() => {
    const { n, h, w, c, groups } = size;
    const all = [random(1, n, h, w, c), random(2, c), random(3, c)];
    if (bias) all.push(bias === 'each' ? random(4, n, 1, 1, c) : random(4, c));
    if (film) all.push(random(5, n, 1, 1, c), random(6, n, 1, 1, c));
    const rest = (extra: tf.Tensor[]) => {
      const [scale, shift] = extra.slice(bias ? 1 : 0);
      return { bias: bias ? extra[0] : undefined, film: scale && shift ? { scale, shift } : undefined };
    };
    expectSame(
      (x, gamma, beta, ...extra) =>
        groupNorm(
          x as tf.Tensor4D,
          groups,
          { gamma: gamma as tf.Tensor, beta: beta as tf.Tensor, silu, epsilon, ...rest(extra) },
          method,
        ),
      (x, gamma, beta, ...extra) => {
        const parts = rest(extra);
        const given = {
          ...(parts.bias ? { bias: parts.bias } : {}),
          ...(parts.film ? { film: Object.values(parts.film) } : {}),
        };
        return reference(x as tf.Tensor, gamma as tf.Tensor, beta as tf.Tensor, size, { ...given, silu, epsilon });
      },
      all,
      2e-5,
    );
  });

// The native backend has the kernel, so both ways are tested on it.
const methods = [...new Set<GroupNormMethod>([groupNormMethod(), 'composed'])];

describe.each(methods)('%s', (method) => {
  test.each(cases)('values and all gradients are those of the definition, $bias $film $silu', (given) =>
    check(given, method),
  );

  // More channels than a vector has lanes, with a rest; work for several threads; one sample split by its groups.
  test.each([
    { n: 3, h: 5, w: 5, c: 40, groups: 2 },
    { n: 7, h: 9, w: 8, c: 48, groups: 8 },
    { n: 1, h: 17, w: 13, c: 60, groups: 4 },
    { n: 1, h: 1, w: 1, c: 32, groups: 1 },
  ])('so they are at [$n, $h, $w, $c] in $groups groups', (size) => check(everything, method, size));

  test('each sample may have a bias of its own, and ε may be another', () => {
    for (const given of cases) check({ ...given, bias: 'each' }, method);
    check({ ...everything, bias: 'each' }, method, { n: 3, h: 5, w: 5, c: 40, groups: 2 });
    check({ ...everything, epsilon: 0.3 }, method);
    const x = random<tf.Tensor4D>(1, 1, 2, 2, 4);
    const run = (epsilon?: number) =>
      groupNorm(x, 2, { gamma: tf.ones([4]), beta: tf.zeros([4]), epsilon }, method).dataSync();
    expect(run(1e-5)).toEqual(run());
    expect(() => run(0)).toThrow(/epsilon is 0/);
  });

  test('a mean of 1000 deviations costs no accuracy in the variance', () => {
    tf.tidy(() => {
      const { n, h, w, c, groups } = small;
      const x = random<tf.Tensor4D>(1, n, h, w, c);
      // Multiples of 2⁻⁷ stay exact when 1000 is added, so both norms see the same deviations.
      const exact = tf.div(tf.round(tf.mul(x, 128)), 128) as tf.Tensor4D;
      const inputs = { gamma: tf.ones([c]), beta: tf.zeros([c]) };
      const near = groupNorm(exact, groups, inputs, method);
      const far = groupNorm(tf.add(exact, 1000) as tf.Tensor4D, groups, inputs, method);
      expect(difference(far, near)).toBeLessThan(1e-3);
    });
  });

  test('SiLU is right far from zero', () => {
    tf.tidy(() => {
      const x = random<tf.Tensor4D>(1, 1, 4, 4, 8);
      const at = (beta: number) =>
        groupNorm(x, 2, { gamma: tf.zeros([8]), beta: tf.fill([8], beta), silu: true }, method).dataSync()[0] as number;
      for (const value of [-200, -90, -20, -1, 0, 1, 20, 90, 200])
        expect(at(value)).toBeCloseTo(value / (1 + Math.exp(-value)), 5);
    });
  });

  test('leaks nothing', () => {
    const x = random<tf.Tensor4D>(1, 1, 2, 2, 4);
    const [gamma, beta] = [tf.ones([4]), tf.zeros([4])];
    expectNoLeak(() => [groupNorm(x, 2, { gamma, beta }, method)]);
    const loss = (x: tf.Tensor) => tf.sum(groupNorm(x as tf.Tensor4D, 2, { gamma, beta }, method)) as tf.Scalar;
    expectNoLeak(() => [tf.grad(loss)(x)]);
    tf.dispose([x, gamma, beta]);
  });
});

test('so they are on wasm and in plain JavaScript', async () => {
  for (const backend of ['wasm', 'cpu'] as const)
    await onBackend(backend, () => {
      check(everything, 'composed');
      check({ ...everything, bias: 'each', epsilon: 1e-3 }, 'composed');
    });
});
