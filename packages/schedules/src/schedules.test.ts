import { alpha, sigmoid } from '@logsnr/core';
import { describe, expect, test } from 'vitest';
import { arctan, cosine, grid, linearBeta } from './index.js';

const all = { arctan: arctan(), cosine: cosine(), linearBeta: linearBeta() };

describe.each(Object.entries(all))('%s', (_name, schedule) => {
  test('falls strictly, so its grid rises strictly, and meets its ends', () => {
    const lambdas = grid(schedule, 1001);
    for (let i = 1; i < lambdas.length; i++) expect(lambdas[i]).toBeGreaterThan(lambdas[i - 1] as number);
    expect(lambdas[0]).toBe(schedule(1));
    expect(lambdas.at(-1)).toBe(20);
  });

  test('is continuous at its ends', () => {
    expect(Math.abs(schedule(1e-12) - schedule(0))).toBeLessThan(1e-4);
    expect(Math.abs(schedule(1 - 1e-12) - schedule(1))).toBeLessThan(1e-4);
  });

  test.each([-0.1, 1.1, Number.NaN])('refuses u = %s', (u) => {
    expect(() => schedule(u)).toThrow(/u is .* must lie in \[0, 1\]/);
  });
});

test('arctan is the formula of the paper', () => {
  const b = Math.atan(Math.exp(-10));
  const a = Math.atan(Math.exp(10)) - b;
  for (const u of [0.01, 0.2, 0.5, 0.8, 0.99]) expect(arctan()(u)).toBeCloseTo(-2 * Math.log(Math.tan(a * u + b)), 10);
  expect(arctan()(0.5)).toBeCloseTo(0, 12);
  // Symmetric, to the last digits even where tan is near its pole.
  for (const u of [1e-9, 1e-6, 0.3]) expect(arctan()(u)).toBeCloseTo(-arctan()(1 - u), 6);
});

test('arctan draws λ from the hyperbolic secant density sech(λ/2)/(2π)', () => {
  // dλ/du = −1/p(λ) for the inverse of a distribution function.
  const wide = arctan({ lambdaMin: -60, lambdaMax: 60 });
  for (const u of [0.1, 0.37, 0.6, 0.93]) {
    const slope = (wide(u + 1e-6) - wide(u - 1e-6)) / 2e-6;
    expect(-1 / slope).toBeCloseTo(1 / Math.cosh(wide(u) / 2) / (2 * Math.PI), 6);
  }
});

test('cosine without offset is arctan', () => {
  for (const u of [0.1, 0.4, 0.9]) expect(cosine({ s: 0 })(u)).toBeCloseTo(arctan()(u), 8);
});

test('cosine gives the α² of its paper', () => {
  const range = { lambdaMin: -15, lambdaMax: 9 };
  const schedule = cosine(range);
  const f = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  // The times at both ends, found by bisection; u is linear in between.
  const timeOf = (lambda: number) => {
    let [low, high] = [0, 1];
    for (let i = 0; i < 100; i++) {
      const middle = (low + high) / 2;
      if (f(middle) / f(0) > sigmoid(lambda)) low = middle;
      else high = middle;
    }
    return low;
  };
  const [first, last] = [timeOf(9), timeOf(-15)];
  for (const u of [0.2, 0.5, 0.7]) {
    const t = first + u * (last - first);
    expect(alpha(schedule(u)) ** 2).toBeCloseTo(f(t) / f(0), 10);
  }
});

test('linearBeta ends where the variance-preserving SDE does and agrees with its discrete product', () => {
  expect(linearBeta()(1)).toBeCloseTo(-Math.log(Math.expm1(10.05)), 12);
  const n = 100_000;
  let log = 0;
  for (let i = 0; i < n / 2; i++) log += Math.log1p(-(0.1 + (19.9 * (i + 0.5)) / n) / n);
  expect(alpha(linearBeta({ lambdaMax: 60 })(0.5)) ** 2).toBeCloseTo(Math.exp(log), 4);
});

test('bad settings are refused by name', () => {
  expect(() => arctan({ lambdaMin: 3, lambdaMax: -3 })).toThrow('lambdaMin = 3 must be below lambdaMax = -3');
  expect(() => cosine({ s: -1 })).toThrow(/s is -1/);
  expect(() => linearBeta({ betaMin: 5, betaMax: 1 })).toThrow(/betaMin = 5 and betaMax = 1/);
  expect(() => arctan({ lambdaMin: Number.NaN })).toThrow(/lambdaMin is NaN/);
  expect(() => grid(arctan(), 1)).toThrow(/steps is 1/);
});
