import { fold, key } from '@logsnr/core';
import { expect, test } from 'vitest';
import { drawDropped, drawLambda } from './draws.js';

const identity = (u: number) => u;

test('stratified λ has one sample in each slice of u, in an order that changes with the key', () => {
  const slices = (seed: number) => Array.from(drawLambda(identity, key(seed), 16), (u) => Math.floor(u * 16));
  const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
  expect(sorted(slices(1))).toEqual([...Array(16).keys()]);
  expect(slices(1)).not.toEqual(sorted(slices(1)));
  expect(slices(1)).not.toEqual(slices(2));
  expect(slices(1)).toEqual(slices(1));
});

test('each sample, whatever its place in the batch, follows p(λ)', () => {
  for (const spread of ['stratified', 'antithetic', 'independent'] as const)
    for (const place of [0, 7]) {
      const u = Array.from(
        { length: 4000 },
        (_, t) => drawLambda(identity, fold(key(3), t), 8, { spread })[place] as number,
      );
      const mean = u.reduce((sum, value) => sum + value, 0) / u.length;
      const second = u.reduce((sum, value) => sum + value ** 2, 0) / u.length;
      // Five standard errors of a uniform number's mean and mean square.
      expect(Math.abs(mean - 1 / 2)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(u.length));
      expect(Math.abs(second - 1 / 3)).toBeLessThan((5 * Math.sqrt(4 / 45)) / Math.sqrt(u.length));
    }
});

test('without strata some slice is met twice', () => {
  const slices = Array.from(drawLambda(identity, key(1), 64, { spread: 'independent' }), (u) => Math.floor(u * 64));
  expect(new Set(slices).size).toBeLessThan(64);
});

test('antithetic λ come in pairs u and 1 − u, at places that change with the key', () => {
  for (const n of [16, 7]) {
    const u = Array.from(drawLambda(identity, key(2), n, { spread: 'antithetic' }));
    const partner = u.map((a) => u.findIndex((b) => Math.abs(a + b - 1) < 1e-9));
    expect(partner.filter((i) => i >= 0)).toHaveLength(n - (n % 2));
    expect(new Set(u).size).toBe(n);
    expect(u.every((value) => value >= 0 && value < 1)).toBe(true);
  }
  const partners = (seed: number) => {
    const u = Array.from(drawLambda(identity, key(seed), 16, { spread: 'antithetic' }));
    return u.findIndex((b) => Math.abs((u[0] as number) + b - 1) < 1e-9);
  };
  expect(new Set([1, 2, 3, 4, 5].map(partners)).size).toBeGreaterThan(1);
  expect(() => drawLambda(identity, key(1), 4, { spread: 'sobol' as never })).toThrow(/spread is "sobol"/);
});

test('λ comes through the schedule, which must be finite', () => {
  const u = drawLambda(identity, key(5), 8);
  expect(drawLambda((v) => 20 - 40 * v, key(5), 8)).toEqual(u.map((v) => 20 - 40 * v));
  expect(() => drawLambda(() => Number.POSITIVE_INFINITY, key(5), 8)).toThrow(/is Infinity; a schedule to train on/);
  expect(() => drawLambda(identity, key(5), 0)).toThrow(/n is 0/);
});

test('labels are dropped with probability pUncond', () => {
  const n = 40_000;
  for (const p of [0, 0.1, 0.5, 1]) {
    const dropped = drawDropped(key(11), n, p);
    expect(dropped.every((value) => value === 0 || value === 1)).toBe(true);
    const share = dropped.reduce((sum, value) => sum + value, 0) / n;
    expect(Math.abs(share - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / n));
  }
  expect(() => drawDropped(key(1), 4, 1.2)).toThrow(/pUncond is 1.2/);
  expect(() => drawDropped(key(1), 4, Number.NaN)).toThrow(/pUncond is NaN/);
});
