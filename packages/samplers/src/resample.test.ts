import { bits, key } from '@logsnr/core';
import { expect, test } from 'vitest';
import { effectiveSize, systematic } from './resample.js';

const log = (...weights: number[]) => Float64Array.from(weights, Math.log);
const ancestors = (weights: number[], u: number) => [...systematic(log(...weights), u)];

test('systematic resampling, by hand', () => {
  // Points at (i + u)/4 of the sum: 0.1, 0.35, 0.6 and 0.85 of shares that end at 0.5, 0.5, 0.75 and 1.
  expect(ancestors([2, 0, 1, 1], 0.4)).toEqual([0, 0, 2, 3]);
  expect(ancestors([2, 0, 1, 1], 0)).toEqual([0, 0, 2, 3]);
  expect(ancestors([0, 0, 5, 0], 0.99)).toEqual([2, 2, 2, 2]);
  expect(ancestors([1, 3], 0.4)).toEqual([0, 1]);
  expect(ancestors([1, 3], 0.6)).toEqual([1, 1]);
  expect(ancestors([7], 0.5)).toEqual([0]);
});

test('equal weights leave all where they are, whatever u', () => {
  for (const u of [0, 0.5, 1 - 2 ** -32])
    expect(ancestors(new Array(1000).fill(0.1), u)).toEqual([...Array(1000).keys()]);
});

test('each goes on ⌊n share⌋ or ⌈n share⌉ times, n share on average', () => {
  const n = 50;
  const weights = Float64Array.from(bits(key(1), n), (word) => (word / 2 ** 32) ** 3);
  const total = weights.reduce((a, b) => a + b);
  const mean = new Float64Array(n);
  const rounds = 500;
  let most = 0;
  for (let r = 0; r < rounds; r++) {
    const count = new Float64Array(n);
    for (const j of systematic(weights.map(Math.log), (r + 0.5) / rounds)) count[j] = (count[j] as number) + 1;
    for (const [j, times] of count.entries()) {
      most = Math.max(most, Math.abs(times - (n * (weights[j] as number)) / total));
      mean[j] = (mean[j] as number) + times / rounds;
    }
  }
  expect(most).toBeLessThan(1);
  for (const [j, times] of mean.entries()) expect(times).toBeCloseTo((n * (weights[j] as number)) / total, 2);
});

test('log weights of any size, and −∞', () => {
  const far = [1e6, 1e6 + Math.log(3), Number.NEGATIVE_INFINITY, -1e6];
  expect([...systematic(Float64Array.from(far), 0.5)]).toEqual([0, 1, 1, 1]);
  expect(effectiveSize(Float64Array.from(far))).toBeCloseTo(16 / 10, 9);
});

test('the effective size', () => {
  expect(effectiveSize(log(2, 2, 2))).toBeCloseTo(3, 12);
  expect(effectiveSize(log(0, 0, 1, 0))).toBe(1);
  expect(effectiveSize(log(3, 1))).toBeCloseTo(16 / 10, 12);
});
