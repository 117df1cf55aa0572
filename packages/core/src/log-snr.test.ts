import { tensor1d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { alpha, alphaRatio, alphaSigma, posterior, sigma, sigmoid, transition } from './index.js';

const relative = (a: number, b: number) => Math.abs(a - b) / Math.abs(b);
const pairs = [
  [-40, -39.5],
  [-40, 40],
  [-20, -10],
  [-3, -2.999],
  [-1, 2],
  [0, 1e-6],
  [10, 20],
  [39, 40],
] as const;

test('α² + σ² = 1 and λ = ln(α²/σ²), with both tails to full relative accuracy', () => {
  for (const lambda of [-40, -20, -1, 0, 0.3, 20, 40]) {
    expect(alpha(lambda) ** 2 + sigma(lambda) ** 2).toBeCloseTo(1, 14);
    expect(2 * Math.log(alpha(lambda) / sigma(lambda))).toBeCloseTo(lambda, 12);
    // α = e^{λ/2}/√(1+e^λ): the closed form that keeps its digits for λ → −∞; σ by symmetry.
    expect(relative(alpha(lambda), Math.exp(lambda / 2) / Math.sqrt(1 + Math.exp(lambda)))).toBeLessThan(1e-14);
    expect(sigma(lambda)).toBe(alpha(-lambda));
  }
  expect([alpha(Number.POSITIVE_INFINITY), sigma(Number.POSITIVE_INFINITY)]).toEqual([1, 0]);
});

test('alphaRatio is α_to/α_from, also where the factors would underflow', () => {
  for (const [from, to] of pairs) expect(relative(alphaRatio(from, to), alpha(to) / alpha(from))).toBeLessThan(1e-13);
  expect(relative(alphaRatio(-2000, -1998), Math.E)).toBeLessThan(1e-12);
});

test('two transitions compose into one', () => {
  for (const [low, high] of pairs) {
    const middle = (low + high) / 2;
    const [first, second, whole] = [transition(high, middle), transition(middle, low), transition(high, low)];
    expect(relative(first.scale * second.scale, whole.scale)).toBeLessThan(1e-12);
    expect(relative(second.scale ** 2 * first.variance + second.variance, whole.variance)).toBeLessThan(1e-12);
  }
});

test('a transition takes the marginal at λ′ to the marginal at λ', () => {
  for (const [low, high] of pairs) {
    const { scale, variance } = transition(high, low);
    expect(relative(scale * alpha(high), alpha(low))).toBeLessThan(1e-12);
    expect(relative(scale ** 2 * sigmoid(-high) + variance, sigmoid(-low))).toBeLessThan(1e-12);
  }
  const fromData = transition(Number.POSITIVE_INFINITY, 1);
  expect(relative(fromData.scale, alpha(1))).toBeLessThan(1e-15);
  expect(fromData.variance).toBe(sigmoid(-1));
});

test('the posterior is Bayes’ rule applied to the transition', () => {
  for (const [low, high] of pairs) {
    const forward = transition(high, low);
    // p(z' | z, x) ∝ N(z; scale z', variance) N(z'; α' x, σ'²): precisions add.
    const precision = forward.scale ** 2 / forward.variance + 1 / sigmoid(-high);
    const { z, x, variance } = posterior(low, high);
    expect(relative(variance, 1 / precision)).toBeLessThan(1e-12);
    expect(relative(z, forward.scale / forward.variance / precision)).toBeLessThan(1e-12);
    expect(relative(x, alpha(high) / sigmoid(-high) / precision)).toBeLessThan(1e-12);
  }
});

test('the variance is interpolated in the log domain', () => {
  const [small, large] = [posterior(-2, 1, 0).variance, posterior(-2, 1, 1).variance];
  expect(large).toBeCloseTo(transition(1, -2).variance, 14);
  expect(Math.log(posterior(-2, 1, 0.3).variance)).toBeCloseTo(0.7 * Math.log(small) + 0.3 * Math.log(large), 12);
});

describe('peer reference: log-interpolated variance, squared-cosine β, T = 1000, v = 0.75', () => {
  const bar = (i: number) => Math.cos((((i / 1000 + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const logBar = [0];
  for (let i = 0; i < 1000; i++)
    logBar.push((logBar[i] as number) + Math.log1p(-Math.min(1 - bar(i + 1) / bar(i), 0.999)));
  const lambda = (t: number) => logBar[t + 1] as number;
  const logSnr = (t: number) => lambda(t) - Math.log(-Math.expm1(lambda(t)));
  test.each([
    [1, -10.1713649],
    [487, -5.7998054],
    [999, -0.0010011],
  ])('t = %i', (t, expected) => {
    expect(Math.log(posterior(logSnr(t), logSnr(t - 1), 0.75).variance)).toBeCloseTo(expected, 6);
  });
});

test('clean data is the limit λ′ = +∞', () => {
  expect(posterior(-20, Number.POSITIVE_INFINITY, 0.3)).toEqual({ z: 0, x: 1, variance: 0 });
});

test('errors name the argument', () => {
  expect(() => transition(1, 2)).toThrow(/to must be the noisier, smaller λ/);
  expect(() => transition(1, 1)).toThrow(/smaller λ/);
  expect(() => posterior(2, 1)).toThrow(/to must be the cleaner, larger λ/);
  expect(() => posterior(Number.NaN, 1)).toThrow('from is NaN; it must be a finite number.');
  expect(() => posterior(0, 1, 1.5)).toThrow('v is 1.5; it must lie in [0, 1].');
  expect(() => transition(1, Number.NEGATIVE_INFINITY)).toThrow('to is -Infinity');
});

test('alphaSigma gives α and σ of a batch, accurate in float32 at both ends', () => {
  const values = [-40, -20, -9.5, -1, 0, 3, 20, 40];
  const lambda = tensor1d(values);
  const tensors = alphaSigma(lambda);
  values.forEach((value, i) => {
    expect(relative(tensors.alpha.dataSync()[i] as number, alpha(value))).toBeLessThan(5e-6);
    expect(relative(tensors.sigma.dataSync()[i] as number, sigma(value))).toBeLessThan(5e-6);
  });
  expectNoLeak(() => ({ ...alphaSigma(lambda) }));
});
