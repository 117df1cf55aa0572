import { alpha, posterior, sigma } from '@logsnr/core';
import { describe, expect, test } from 'vitest';
import {
  cosineBetas,
  discrete,
  fromSigmas,
  fromTimes,
  grid,
  linearBetas,
  respaced,
  respacedTimes,
  scaledLinearBetas,
} from './index.js';

const ddpm = discrete(linearBetas());

describe('discrete', () => {
  test('is the table of products of 1 − β', () => {
    let product = 1;
    linearBetas().forEach((beta, t) => {
      product *= 1 - beta;
      expect(Math.abs(alpha(ddpm.lambdas[t] as number) ** 2 / product - 1)).toBeLessThan(1e-11);
    });
    // The one β of t = 0 is all there is of noise: σ² = β.
    expect(Math.abs(sigma(ddpm.lambdas[0] as number) ** 2 / 1e-4 - 1)).toBeLessThan(1e-13);
  });

  test('posterior of neighbouring times has the log-interpolated variance of improved DDPM, v = 0.75', () => {
    // v ln β + (1 − v) ln β̃, which HF diffusers' test_scheduler_unclip.py checks in float32.
    const table = discrete(cosineBetas());
    const log = (t: number) => Math.log(posterior(table.lambdaOf(t), table.lambdaOf(t - 1), 0.75).variance);
    expect(log(1)).toBeCloseTo(-10.1713649, 7);
    expect(log(487)).toBeCloseTo(-5.7998054, 7);
    expect(log(999)).toBeCloseTo(-0.0010011, 7);
    // And the β themselves at v = 1.
    const betas = cosineBetas();
    for (const t of [3, 500, 998])
      expect(posterior(table.lambdaOf(t), table.lambdaOf(t - 1), 1).variance).toBeCloseTo(betas[t] as number, 10);
  });

  test('λ ↔ t: exact at the table’s times, each other’s inverse between them, held at the ends', () => {
    for (const t of [0, 1, 500, 998, 999]) {
      expect(ddpm.lambdaOf(t)).toBe(ddpm.lambdas[t]);
      expect(ddpm.timeOf(ddpm.lambdas[t] as number)).toBe(t);
    }
    for (const t of [0.25, 17.5, 640.1, 998.9]) expect(ddpm.timeOf(ddpm.lambdaOf(t))).toBeCloseTo(t, 9);
    expect([ddpm.timeOf(50), ddpm.timeOf(-50)]).toEqual([0, 999]);
    expect(ddpm.wholeTimeOf(ddpm.lambdaOf(17.6))).toBe(18);
    expect(ddpm.wholeTimeOf(ddpm.lambdaOf(17.4))).toBe(17);
  });

  test('its schedule is uniform in time', () => {
    const lambdas = grid(ddpm.schedule, 1000);
    lambdas.forEach((lambda, i) => {
      expect(lambda).toBeCloseTo(ddpm.lambdas[999 - i] as number, 9);
    });
  });

  test('betas are those of their papers', () => {
    expect(linearBetas({ steps: 3 })).toEqual([1e-4, 1e-4 + 0.0199 / 2, 0.02]);
    const scaled = scaledLinearBetas();
    expect(scaled[0]).toBeCloseTo(0.00085, 15);
    expect(scaled[999]).toBeCloseTo(0.012, 15);
    expect(Math.sqrt(scaled[333] as number)).toBeCloseTo(
      Math.sqrt(0.00085) + (333 * (Math.sqrt(0.012) - Math.sqrt(0.00085))) / 999,
      14,
    );
    const f = (t: number) => Math.cos(((t / 1000 + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
    for (const t of [0, 400, 990]) expect(cosineBetas()[t]).toBeCloseTo(1 - f(t + 1) / f(t), 13);
    expect(cosineBetas().at(-1)).toBe(0.999);
  });

  test('refuses betas that are none, and times outside', () => {
    expect(() => discrete([0.1])).toThrow('there are 1 betas; a table needs at least 2.');
    expect(() => discrete([0.1, 1])).toThrow(/betas\[1\] is 1; it must be above 0 and below 1/);
    expect(() => discrete([Number.NaN, 0.5])).toThrow(/betas\[0\] is NaN/);
    expect(() => ddpm.lambdaOf(999.5)).toThrow('t is 999.5; it must lie in [0, 999].');
    expect(() => ddpm.timeOf(Number.NaN)).toThrow(/lambda is NaN/);
    expect(() => linearBetas({ steps: 1 })).toThrow(/steps is 1/);
    expect(() => scaledLinearBetas({ start: 0 })).toThrow(/start is 0/);
    expect(() => cosineBetas({ cap: 0 })).toThrow(/cap is 0/);
  });
});

describe('respacing', () => {
  test('picks the times of Lin et al. 2023, table 2, counted from 0', () => {
    // Their example: T = 1000, S = 10, with times from 1 to 1000.
    expect(respacedTimes(1000, 10, 'leading')).toEqual([900, 800, 700, 600, 500, 400, 300, 200, 100, 0]);
    expect(respacedTimes(1000, 10, 'linspace')).toEqual([999, 888, 777, 666, 555, 444, 333, 222, 111, 0]);
    expect(respacedTimes(1000, 10, 'trailing')).toEqual([999, 899, 799, 699, 599, 499, 399, 299, 199, 99]);
    expect(respacedTimes(1000, 7, 'trailing')).toEqual([999, 856, 713, 570, 428, 285, 142]);
    expect(respacedTimes(1000, 1, 'linspace')).toEqual([999]);
    // Halves go to the even time: 499.5 → 500, 2.5 → 2.
    expect(respacedTimes(1000, 3, 'linspace')).toEqual([999, 500, 0]);
    expect(respacedTimes(6, 3, 'linspace')).toEqual([5, 2, 0]);
  });

  test('gives their λ', () => {
    expect(respaced(ddpm, 3, 'linspace')).toEqual([ddpm.lambdas[999], ddpm.lambdas[500], ddpm.lambdas[0]]);
    expect(fromTimes(ddpm, [900, 3.5])).toEqual([ddpm.lambdas[900], ddpm.lambdaOf(3.5)]);
  });

  test('refuses what it cannot do', () => {
    expect(() => respacedTimes(10, 11, 'leading')).toThrow('steps is 11; there are only 10 times.');
    expect(() => respacedTimes(10, 5, 'cosine' as 'leading')).toThrow(
      'spacing is "cosine"; it must be "linspace", "leading" or "trailing".',
    );
    expect(() => fromTimes(ddpm, [3, 900])).toThrow(/does not exceed/);
    expect(() => fromTimes(ddpm, [1000])).toThrow(/t is 1000/);
  });
});

test('a grid of one’s own levels σ/α', () => {
  expect(fromSigmas([80, 1, 0])).toEqual([-2 * Math.log(80), -0]);
  expect(() => fromSigmas([1, 2])).toThrow(/does not exceed/);
  expect(() => fromSigmas([1, -2])).toThrow('sigmas[1] is -2; it must be finite and above 0.');
});
