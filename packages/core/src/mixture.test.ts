import { grad, sum, type Tensor, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { alpha, epsOf, gaussianMixture, labels, sigma } from './index.js';

const mixture = gaussianMixture([
  { mean: [-2, 0], std: 0.3, weight: 1 },
  { mean: [1, 1.5], std: 0.5, weight: 2 },
  { mean: [1, -1], std: 0.4, weight: 1, label: 1 },
]);
const points = [
  [0.3, -0.2],
  [-2, 1],
  [1.4, 0.1],
];

describe('the closed form', () => {
  test.each([undefined, 0, 1])('ε is −σ times the gradient of the log-density (label %s)', (label) => {
    for (const lambda of [-8, -1, 0, 2, 8])
      for (const z of points) {
        const eps = mixture.eps(z, lambda, label);
        z.forEach((_, i) => {
          const at = (h: number) =>
            mixture.logDensity(
              z.map((value, j) => (i === j ? value + h : value)),
              lambda,
              label,
            );
          const h = 1e-4 * sigma(lambda);
          const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
          expect(Math.abs((eps[i] as number) + sigma(lambda) * slope)).toBeLessThan(
            1e-6 * (1 + Math.abs(eps[i] as number)),
          );
        });
      }
  });

  test('a single Gaussian gives the linear ε', () => {
    const single = gaussianMixture([{ mean: [0.5], std: 0.2 }]);
    for (const lambda of [-20, 0, 20]) {
      const [a, s] = [alpha(lambda), sigma(lambda)];
      expect(single.eps([0.9], lambda)[0]).toBeCloseTo((s * (0.9 - a * 0.5)) / (a * a * 0.04 + s * s), 12);
    }
  });

  test('the whole is the sum of its classes', () => {
    for (const z of points) {
      const sum = 0.25 * Math.exp(mixture.logDensity(z, 1, 0)) + 0.75 * Math.exp(mixture.logDensity(z, 1, 1));
      expect(mixture.logDensity(z, 1)).toBeCloseTo(Math.log(sum), 12);
    }
  });

  test('moments are those of the definition', () => {
    const { mean, covariance } = mixture.moments();
    expect(mean[0]).toBeCloseTo(0.25 * -2 + 0.5 + 0.25, 12);
    expect(mean[1]).toBeCloseTo(0.75 - 0.25, 12);
    expect(covariance[0]).toBeCloseTo(0.25 * (4 + 0.09) + 0.5 * (1 + 0.25) + 0.25 * (1 + 0.16) - 0.25 ** 2, 12);
    expect(covariance[1]).toBeCloseTo(0.5 * 1.5 - 0.25 - 0.25 * 0.5, 12);
    expect(covariance[2]).toBe(covariance[1]);
    expect([...mixture.moments(0).covariance]).toEqual([0.09, 0, 0, 0.09]);
  });
});

describe('the model on tensors', () => {
  const classes = labels(mixture.classes);

  test('agrees with float64, each sample at its own λ and label, ∅ included', () => {
    const lambdas = [-8, 0, 6];
    const z = tensor2d(points);
    const lambda = tensor1d(lambdas);
    for (const [c, expected] of [
      [classes.of([0, 1, 1]), [0, 1, 1]],
      [classes.null(3), [undefined, undefined, undefined]],
    ] as const) {
      const made = mixture.model.predict(z, lambda, c, null);
      const [eps, x] = [made.eps.dataSync(), made.x.dataSync()];
      points.forEach((point, i) => {
        const exact = mixture.eps(point, lambdas[i] as number, expected[i]);
        exact.forEach((value, j) => {
          expect(Math.abs((eps[2 * i + j] as number) - value)).toBeLessThan(1e-5 * (1 + Math.abs(value)));
          const at = lambdas[i] as number;
          const mean = ((point[j] as number) - sigma(at) * value) / alpha(at);
          expect(Math.abs((x[2 * i + j] as number) - mean)).toBeLessThan(1e-5 * (1 + Math.abs(mean)));
        });
      });
    }
    const c = classes.of([0, 1, 0]);
    expectNoLeak(() => epsOf(mixture.model)(z, lambda, c));
  });

  test('the classifier is log p(z|c) + log p(c) − log p(z), and its slope the difference of the scores', () => {
    const [z, lambda, c] = [tensor2d(points), tensor1d([-3, 0, 4]), classes.of([1, 0, 1])];
    const logs = mixture.logPosterior(z, lambda, c).dataSync();
    const slopes = grad((at: Tensor) => sum(mixture.logPosterior(at, lambda, c)))(z).dataSync();
    points.forEach((point, i) => {
      const [at, label] = [[-3, 0, 4][i] as number, [1, 0, 1][i] as number];
      const exact = mixture.logDensity(point, at, label) + Math.log([0.25, 0.75][label] as number);
      expect(logs[i]).toBeCloseTo(exact - mixture.logDensity(point, at), 4);
      const [conditional, whole] = [mixture.eps(point, at, label), mixture.eps(point, at)];
      point.forEach((_, j) => {
        const slope = ((whole[j] as number) - (conditional[j] as number)) / sigma(at);
        expect(Math.abs((slopes[2 * i + j] as number) - slope)).toBeLessThan(1e-5 * (1 + Math.abs(slope)));
      });
    });
    expectNoLeak(() => mixture.logPosterior(z, lambda, c));
  });

  test('refuses wrong shapes', () => {
    const c = classes.of([0]);
    expect(() => epsOf(mixture.model)(tensor2d([[1, 2, 3]]), tensor1d([0]), c)).toThrow(
      'z has shape [1, 3]; it must be [any, 2].',
    );
    expect(() => epsOf(mixture.model)(tensor2d([[1, 2]]), tensor1d([0, 0]), c)).toThrow(/lambda has shape \[2\]/);
    expect(() => epsOf(mixture.model)(tensor2d([[1, 2]]), tensor1d([0]), classes.of([0, 1]))).toThrow(
      /label has shape/,
    );
  });
});

test('mixtures that make no sense are refused', () => {
  expect(() => gaussianMixture([])).toThrow(/at least one component/);
  expect(() => gaussianMixture([{ mean: [0], std: 0 }])).toThrow(/the std of component 0 is 0/);
  expect(() => gaussianMixture([{ mean: [0], std: 1, weight: Number.NaN }])).toThrow(
    /the weight of component 0 is NaN/,
  );
  expect(() =>
    gaussianMixture([
      { mean: [0], std: 1 },
      { mean: [0, 1], std: 1 },
    ]),
  ).toThrow(/has 2 numbers/);
  expect(() => mixture.eps([0], 0)).toThrow(/z has 1 numbers/);
  expect(() => mixture.eps([0, 0], 0, 5)).toThrow(/no component has label 5/);
});
