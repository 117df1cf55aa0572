import { type EpsFunction, epsOf, type ModelLike, sigma } from '@logsnr/core';
import { compile } from '@logsnr/tensorflow';
import {
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tensor1d,
  tensor2d,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, lambdas, mixture, points, values, valuesOf, z } from '../test/tools.js';
import { classifierFree, classifierGuidance, logits } from './index.js';

const guided = (w: number, model: ModelLike<Tensor1D> = mixture.model) =>
  classifierGuidance(model, mixture.logPosterior, w);

describe('with exact scores', () => {
  test.each([0.5, 1, 2, 4])('it is classifier-free guidance with the same w = %s', (w) => {
    const free = values(classifierFree(mixture.model, classes, w));
    values(guided(w)).forEach((value, i) => {
      expect(Math.abs(value - (free[i] as number))).toBeLessThan(1e-6 * (1 + w) * (1 + Math.abs(free[i] as number)));
    });
  });

  test('in float64 both are −σ times the gradient of ln p(z|c) p(c|z)^w, to 1e-6', () => {
    for (const w of [0.5, 2, 4])
      points.forEach((point, i) => {
        const at = lambdas[i] as number;
        const [own, whole] = [mixture.eps(point, at, i), mixture.eps(point, at)];
        const slopeOf = (log: (p: number[]) => number, j: number) => {
          const h = 1e-4 * sigma(at);
          const at1 = (k: number) => log(point.map((value, axis) => (axis === j ? value + k * h : value)));
          return (8 * (at1(1) - at1(-1)) - (at1(2) - at1(-2))) / (12 * h);
        };
        const classifier = (p: number[]) => mixture.logDensity(p, at, i) - mixture.logDensity(p, at);
        const tilted = (p: number[]) => mixture.logDensity(p, at, i) + w * classifier(p);
        const free = own.map((value, j) => (1 + w) * value - w * (whole[j] as number));
        const byClassifier = own.map((value, j) => value - w * sigma(at) * slopeOf(classifier, j));
        const gradient = own.map((_, j) => -sigma(at) * slopeOf(tilted, j));
        free.forEach((value, j) => {
          expect(Math.abs(value - (byClassifier[j] as number))).toBeLessThan(1e-6);
          expect(Math.abs(value - (gradient[j] as number))).toBeLessThan(1e-6);
        });
      });
  });

  test('around the unconditional model with weight 1 + w it is the conditional one with w', () => {
    const whole: EpsFunction<Tensor1D> = (z, lambda, label) =>
      epsOf(mixture.model)(z, lambda, classes.nullCondition(label));
    const conditional = values(guided(1.5));
    values(guided(2.5, whole)).forEach((value, i) => {
      expect(value).toBeCloseTo(conditional[i] as number, 4);
    });
  });

  test('on top of classifier-free guidance the weights add up', () => {
    const both = values(guided(0.8, classifierFree(mixture.model, classes, 1.2)));
    const whole = values(classifierFree(mixture.model, classes, 2));
    both.forEach((value, i) => {
      expect(value).toBeCloseTo(whole[i] as number, 4);
    });
  });
});

test('w = 0 is the model bit for bit, and the classifier is not asked', () => {
  let asked = 0;
  const logLikelihood: typeof mixture.logPosterior = (...args) => {
    asked++;
    return mixture.logPosterior(...args);
  };
  expect(values(classifierGuidance(mixture.model, logLikelihood, 0))).toEqual(values(mixture.model));
  expect(values(classifierGuidance(mixture.model, logLikelihood, () => 0))).toEqual(values(mixture.model));
  expect(asked).toBe(0);
});

test('each sample has its own w(λ)', () => {
  const mixed = values(classifierGuidance(mixture.model, mixture.logPosterior, (lambda) => (lambda > 1 ? 2 : 0)));
  expect(mixed.slice(0, 4)).toEqual(values(mixture.model).slice(0, 4));
  expect(mixed.slice(4)).toEqual(values(guided(2)).slice(4));
});

test('logits: the slope of a linear classifier, by hand', () => {
  // Logits (z, −z): log p(0|z) = −ln(1 + e^{−2z}), of slope 2/(1 + e^{2z}).
  const linear = (z: Tensor) => mul(reshape(z, [-1, 1]), [1, -1]) as Tensor2D;
  const model = classifierGuidance((z) => mul(z, 0), logits(linear), 3);
  const at = [-0.3, 0.9];
  const got = valuesOf(epsOf(model)(tensor2d(at, [2, 1]), tensor1d([0, 2]), classes.of([0, 0])));
  got.forEach((value, i) => {
    expect(value).toBeCloseTo(-3 * sigma([0, 2][i] as number) * (2 / (1 + Math.exp(2 * (at[i] as number)))), 5);
  });
});

test('compiles to the same numbers', () => {
  const eager = guided(1, classifierFree(mixture.model, classes, 2));
  const compiled = compile(epsOf(eager));
  const expected = values(eager);
  valuesOf(compiled(z, lambda, c)).forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThan(1e-5 * (1 + Math.abs(expected[i] as number)));
  });
  compiled.dispose();
});

test('costs a backward pass, calls the model once, leaks nothing and refuses what does not fit', () => {
  const { count, wrapped } = counted(mixture.model);
  values(guided(1, wrapped));
  expect(count).toEqual({ calls: 1, samples: 3 });
  expect(guided(1).cost(0)).toEqual({ calls: 2, evaluations: 2, batch: 1, gradients: 1 });
  expect(guided(0).cost(0).gradients).toBe(0);
  expectNoLeak(() => epsOf(guided(2))(z, lambda, c));
  expectNoLeak(() => epsOf(guided(1, classifierFree(mixture.model, classes, 2)))(z, lambda, c));
  expect(() => guided(Number.NaN)).toThrow(/w is NaN/);
  const scalar = classifierGuidance(mixture.model, (z) => sum(sub(z, 1)) as unknown as Tensor1D, 1);
  expect(() => epsOf(scalar)(z, lambda, c)).toThrow('the log-likelihood has shape []; it must be [3].');
});
