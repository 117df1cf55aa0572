import { alpha, type EpsFunction, epsOf, gaussianMixture, labels, sigma } from '@logsnr/core';
import {
  div,
  mul,
  slice,
  sub,
  type Tensor,
  tensor,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { valuesOf } from '../test/tools.js';
import { averagePooling, inpainting, posteriorSampling } from './index.js';

// One Gaussian N(m, s² I), of which the first number is measured: x̂(z) is linear in z, so all is known.
const [m, s] = [[0.4, -0.6] as const, 0.7];
const { model } = gaussianMixture([{ mean: [...m], std: s }]);
const first = (x: Tensor) => slice(x, [0, 0], [-1, 1]);
const condition = { condition: labels(1).of([0, 0]), measurement: tensor2d([[1.2], [-0.3]]) };
const z = tensor2d([
  [0.3, 0.8],
  [-1, 0.2],
]);

test.each([-3, 0, 2])('the gradient is that of ‖y − A(x̂)‖² for Gaussian data at λ = %s', (level) => {
  const [a, d] = [alpha(level), sigma(level)];
  const variance = a * a * s * s + d * d;
  for (const normalized of [false, true]) {
    const guided = posteriorSampling(model, first, 0.8, { normalized });
    const got = valuesOf(epsOf(guided)(z, tensor1d([level, level]), condition));
    const points = z.arraySync();
    points.forEach((point, i) => {
      const eps = point.map((value, j) => (d * (value - a * (m[j] as number))) / variance);
      const x = (point[0] as number) / a - (d / a) * (eps[0] as number);
      const error = ([1.2, -0.3][i] as number) - x;
      const slope = (1 - (d * d) / variance) / a; // dx̂/dz
      const gradient = normalized ? -Math.sign(error) * slope : -2 * error * slope;
      const expected = [(eps[0] as number) + 0.8 * d * gradient, eps[1] as number];
      expected.forEach((value, j) => {
        expect(Math.abs((got[2 * i + j] as number) - value)).toBeLessThan(2e-5 * (1 + Math.abs(value)));
      });
    });
  }
});

test('at high λ with w = 1/(2 s_y²) it is the exact posterior’s ε', () => {
  // At λ → ∞, x̂ = z: p(x|y) ∝ N(x; m, s²) N(y; x, s_y²).
  const level = 12;
  const noise = 0.5;
  const guided = posteriorSampling(model, first, 1 / (2 * noise ** 2));
  const got = valuesOf(epsOf(guided)(z, tensor1d([level, level]), condition));
  const precision = 1 / s ** 2 + 1 / noise ** 2;
  z.arraySync().forEach((point, i) => {
    const mean = (m[0] / s ** 2 + ([1.2, -0.3][i] as number) / noise ** 2) / precision;
    const score = -precision * ((point[0] as number) - mean);
    expect(Math.abs((got[2 * i] as number) / sigma(level) + score)).toBeLessThan(0.02 * Math.abs(score) + 0.02);
  });
});

test('w = 0 is the model bit for bit; a measurement met exactly has no pull and no NaN', () => {
  const at = tensor1d([0, 0]);
  const plain = valuesOf(epsOf(model)(z, at, condition.condition));
  expect(valuesOf(epsOf(posteriorSampling(model, first, 0))(z, at, condition))).toEqual(plain);
  const [a, d] = [alpha(0), sigma(0)];
  const met = tidy(() => {
    const eps = epsOf(model)(z, at, condition.condition);
    return first(div(sub(z, mul(eps, d)), a));
  });
  valuesOf(epsOf(posteriorSampling(model, first, 1))(z, at, { ...condition, measurement: met })).forEach((value, i) => {
    expect(value).toBeCloseTo(plain[i] as number, 5);
  });
  const zero: EpsFunction<null> = (z) => zerosLike(z);
  const exact = { condition: null, measurement: zeros([1, 1]) };
  const none = epsOf(posteriorSampling(zero, first, 1, { normalized: true }))(zeros([1, 2]), tensor1d([0]), exact);
  expect(valuesOf(none).map(Math.abs)).toEqual([0, 0]);
});

test('costs one call more, with its gradient; leaks nothing; refuses a measurement of another shape', () => {
  const guided = posteriorSampling(model, first, 1);
  expect(guided.cost(0)).toEqual({ calls: 2, evaluations: 2, batch: 1, gradients: 1 });
  const at = tensor1d([0, 0]);
  expectNoLeak(() => epsOf(guided)(z, at, condition));
  expect(() => epsOf(guided)(z, tensor1d([0, 0]), { ...condition, measurement: z })).toThrow(
    'A(x̂) has shape [2, 1]; it must be [2, 2].',
  );
});

test('the operators of inpainting and super-resolution', () => {
  const image = tensor([1, 2, 3, 4], [1, 2, 2, 1]);
  expect(valuesOf(inpainting(tensor([1, 0, 0, 1], [2, 2, 1]))(image))).toEqual([1, 0, 0, 4]);
  expect(valuesOf(averagePooling(2)(image))).toEqual([2.5]);
  expect(() => averagePooling(0)).toThrow(/factor is 0/);
});
