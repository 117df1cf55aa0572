import type { Schedule } from '@logsnr/core';
import { describe, expect, test } from 'vitest';
import {
  arctan,
  betaTimes,
  cosine,
  grid,
  karras,
  laplace,
  logNormal,
  shifted,
  sigmoidSchedule,
  uniform,
} from './index.js';
import { betaQuantile, normalCdf, normalQuantile } from './quantiles.js';

const range = { lambdaMin: -9, lambdaMax: 11 };
const all = {
  uniform: uniform(range),
  laplace: laplace({ ...range, mean: 1, scale: 2 }),
  logNormal: logNormal(range),
  karras: karras(range),
  sigmoidSchedule: sigmoidSchedule(range),
  'beta times': betaTimes(uniform(range)),
  shifted: shifted(cosine({ lambdaMin: -8, lambdaMax: 12 }), -1),
};

describe.each(Object.entries(all))('%s', (_name, schedule) => {
  test('falls strictly from the one end of its range to the other, without a jump', () => {
    const lambdas = grid(schedule, 1001);
    for (let i = 1; i < lambdas.length; i++) expect(lambdas[i]).toBeGreaterThan(lambdas[i - 1] as number);
    expect(lambdas[0]).toBeCloseTo(-9, 12);
    expect(lambdas.at(-1)).toBeCloseTo(11, 12);
    expect(schedule(1e-12)).toBeCloseTo(11, 4);
    expect(schedule(1 - 1e-12)).toBeCloseTo(-9, 4);
  });

  test('stays in its range next to the ends', () => {
    for (const u of [5e-324, 1e-16, 1 - 2 ** -53]) {
      expect(schedule(u)).toBeGreaterThanOrEqual(-9 - 1e-12);
      expect(schedule(u)).toBeLessThanOrEqual(11 + 1e-12);
    }
  });

  test.each([-0.1, 1.1, Number.NaN])('refuses u = %s', (u) => {
    expect(() => schedule(u)).toThrow(/u is .* must lie in \[0, 1\]/);
  });
});

/** p(λ) = −1/(dλ/du) up to the share that the cut leaves. */
const density = (schedule: Schedule, u: number) => -2e-6 / (schedule(u + 1e-6) - schedule(u - 1e-6));

test.each([
  [
    'laplace',
    laplace({ mean: 1, scale: 2, lambdaMin: -40, lambdaMax: 40 }),
    (l: number) => Math.exp(-Math.abs(l - 1) / 2) / 4,
  ],
  [
    'logNormal',
    logNormal({ lambdaMin: -40, lambdaMax: 40 }),
    (l: number) => Math.exp(-((l - 2.4) ** 2) / (2 * 2.4 ** 2)) / (2.4 * Math.sqrt(2 * Math.PI)),
  ],
] as const)('%s draws λ from its density', (_name, schedule, expected) => {
  for (const u of [0.05, 0.2, 0.41, 0.6, 0.97]) expect(density(schedule, u)).toBeCloseTo(expected(schedule(u)), 6);
});

test('the far tails stay in range', () => {
  for (const schedule of [logNormal(), laplace()])
    for (const u of [1e-17, 1 - 2 ** -53]) expect(Math.abs(schedule(u))).toBeLessThanOrEqual(20);
});

test('the cut of a density leaves its shape: λ at a given share of what is left', () => {
  const cut = logNormal({ lambdaMin: 0, lambdaMax: 4.8 });
  expect(cut(0.5)).toBeCloseTo(2.4, 10); // symmetric about the mean
  expect(laplace({ lambdaMin: -3, lambdaMax: 3 })(0.5)).toBeCloseTo(0, 10);
});

test('karras has EDM’s levels, and ρ = 1 makes s uniform', () => {
  // 80 and 0.002 with ρ = 7 in 3 steps: the middle is ((80^{1/7} + 0.002^{1/7})/2)^7.
  const levels = grid(karras(), 3).map((lambda) => Math.exp(-lambda / 2));
  expect(levels[0]).toBeCloseTo(80, 10);
  expect(levels[1]).toBeCloseTo(((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7, 10);
  expect(levels[2]).toBeCloseTo(0.002, 12);
  const [a, b, c] = grid(karras({ rho: 1 }), 3).map((lambda) => Math.exp(-lambda / 2)) as [number, number, number];
  expect(a - b).toBeCloseTo(b - c, 10);
});

test('sigmoidSchedule gives the α² of its paper', () => {
  const S = (x: number) => 1 / (1 + Math.exp(-x));
  const schedule = sigmoidSchedule({ start: -3, end: 3, tau: 0.7, lambdaMin: -30, lambdaMax: 30 });
  for (const t of [0.1, 0.35, 0.8]) {
    const [b, e] = [-3 / 0.7, 3 / 0.7];
    const square = (S(e) - S(b + (e - b) * t)) / (S(e) - S(b));
    // The range is so wide that u is t.
    expect(1 / (1 + Math.exp(-schedule(t)))).toBeCloseTo(square, 10);
  }
});

test('a shift moves every λ; Beta(1, 1) changes no time, Beta(½, ½) is the arcsine law', () => {
  expect(shifted(arctan(), 2 * Math.log(64 / 256))(0.3)).toBe(arctan()(0.3) + 2 * Math.log(0.25));
  expect(betaTimes(cosine(), { a: 1, b: 1 })(0.3)).toBeCloseTo(cosine()(0.3), 12);
  expect(betaTimes(uniform({ lambdaMin: 0, lambdaMax: 1 }), { a: 0.5, b: 0.5 })(0.3)).toBeCloseTo(
    1 - Math.sin(0.15 * Math.PI) ** 2,
    12,
  );
});

test('quantiles agree with scipy 1.16 to 13 digits', () => {
  const close = (found: number, expected: number) => expect(Math.abs(found / expected - 1)).toBeLessThan(1e-13);
  close(betaQuantile(0.3, 0.6, 0.6), 0.23401700387523572);
  close(betaQuantile(0.999, 0.6, 0.6), 0.9999814412614826);
  close(betaQuantile(1e-6, 0.6, 0.6), 1.8558824624053043e-10);
  close(betaQuantile(0.9, 8, 20), 0.3973910805681117);
  close(normalCdf(-8), 6.22096057427174e-16);
  close(normalCdf(-2.99), 0.0013948872354922468);
  close(normalQuantile(1e-13), -7.348796102800677);
  close(normalQuantile(0.975), 1.959963984540054);
});

test('bad settings are refused by name', () => {
  expect(() => uniform({ lambdaMin: 3, lambdaMax: -3 })).toThrow('lambdaMin = 3 must be below lambdaMax = -3');
  expect(() => laplace({ scale: 0 })).toThrow('scale is 0; it must be finite and above 0.');
  expect(() => logNormal({ std: -1 })).toThrow(/std is -1/);
  expect(() => karras({ rho: Number.NaN })).toThrow(/rho is NaN/);
  expect(() => sigmoidSchedule({ start: 1, end: 1 })).toThrow(/end - start is 0/);
  expect(() => betaTimes(arctan(), { a: 0 })).toThrow(/a is 0/);
  expect(() => shifted(arctan(), Number.POSITIVE_INFINITY)).toThrow(/by is Infinity/);
});
