import { expect, test } from 'vitest';
import { cosineDecay, inverseSqrt, linearDecay, warmUp } from './learning-rate.js';

test('each schedule at its ends and in between', () => {
  const cosine = cosineDecay(4, 1);
  expect([0, 1 / 3, 1 / 2, 1].map((progress) => cosine(0, progress))).toEqual([
    4,
    expect.closeTo(1 + (3 * 1.5) / 2, 12),
    2.5,
    1,
  ]);
  const linear = linearDecay(4, 1);
  expect([0, 0.25, 1].map((progress) => linear(0, progress))).toEqual([4, 3.25, 1]);
  const root = inverseSqrt(2, 100);
  expect([0, 99, 399, 9999].map(root)).toEqual([2, 2, 1, 0.2]);
  const warm = warmUp(linear, 10);
  expect([0, 4, 9, 50].map((step) => warm(step, 0.25))).toEqual([
    expect.closeTo(0.325, 12),
    expect.closeTo(1.625, 12),
    3.25,
    3.25,
  ]);
  expect(warmUp(3, 4)(0, 0)).toBe(0.75);
});

test('refuses what is out of range', () => {
  expect(() => linearDecay(-1)).toThrow(/first is -1/);
  expect(() => inverseSqrt(1, 0)).toThrow(/after is 0/);
  expect(() => warmUp(1, 0)).toThrow(/steps is 0/);
  expect(() => warmUp(() => Number.NaN, 2)(0, 0)).toThrow(/learning rate of step 0 is NaN/);
});
