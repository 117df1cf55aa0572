import { key, normalNumbers } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type EmaSnapshot, powerEma, powerGamma, reconstructEma } from './power-ema.js';

test('γ of a relative length, against its cubic and by the profile itself', () => {
  // Values of EDM2's table of lengths: γ ≈ 16.97 for 5 %, 6.94 for 10 %.
  expect(powerGamma(0.05)).toBeCloseTo(16.97, 2);
  expect(powerGamma(0.1)).toBeCloseTo(6.94, 2);
  expect(powerGamma(12 ** -0.5)).toBeCloseTo(0, 6);
  for (const sigma of [0.01, 0.03, 0.07, 0.2, 0.28]) {
    const gamma = powerGamma(sigma);
    expect(gamma ** 3 + 7 * gamma ** 2 + (16 - sigma ** -2) * gamma + (12 - sigma ** -2)).toBeCloseTo(0, 5);
  }
  for (const sigma of [0, -0.1, 0.3, Number.NaN]) expect(() => powerGamma(sigma)).toThrow(`sigmaRel is ${sigma}`);
});

test('the value of step τ weighs (τ/t)^{γ+1} − ((τ−1)/t)^{γ+1}, and the first average is the weights', () => {
  const gamma = powerGamma(0.1);
  const rule = powerEma(0.1);
  const steps = 40;
  expect(rule.blend(0)).toBe(1);
  for (const tau of [1, 7, 39, 40]) {
    let average = 0;
    for (let step = 0; step < steps; step++) {
      const blend = rule.blend(step);
      average += blend * ((step + 1 === tau ? 1 : 0) - average);
    }
    const share = (tau / steps) ** (gamma + 1) - ((tau - 1) / steps) ** (gamma + 1);
    expect(average).toBeCloseTo(share, 12);
  }
});

test('any length is reconstructed from snapshots of two, as near as if it had been kept', () => {
  // A path of weights with slow and fast movement: a random walk with noise on top.
  const [steps, size] = [3000, 8];
  const noise = normalNumbers({ words: key(4).words, counter: 0, samples: steps, blocks: size / 2 });
  const lengths = [0.05, 0.1];
  const targets = [0.03, 0.07, 0.15, 0.2];
  const rules = [...lengths, ...targets].map(powerEma);
  const averages = rules.map(() => new Float64Array(size));
  const theta = new Float64Array(size);
  const snapshots: EmaSnapshot[] = [];
  for (let step = 0; step < steps; step++) {
    for (let j = 0; j < size; j++) theta[j] = (theta[j] as number) + (noise[step * 2 * size + j] as number) / 30;
    averages.forEach((average, i) => {
      const blend = (rules[i] as ReturnType<typeof powerEma>).blend(step);
      for (let j = 0; j < size; j++) {
        const value = (theta[j] as number) + (noise[step * 2 * size + size + j] as number) / 3;
        average[j] = (average[j] as number) + blend * (value - (average[j] as number));
      }
    });
    if ((step + 1) % 125 === 0)
      lengths.forEach((sigmaRel, i) => {
        snapshots.push({
          step: step + 1,
          sigmaRel,
          average: { w: tf.tensor(Float32Array.from(averages[i] as Float64Array), [2, 4]) },
        });
      });
  }
  const before = tf.memory().numTensors;
  const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Math.hypot(...Array.from(a, (x, j) => x - (b[j] as number)));
  targets.forEach((sigmaRel, i) => {
    const kept = averages[lengths.length + i] as Float64Array;
    const { w } = reconstructEma(snapshots, { step: steps, sigmaRel }) as { w: tf.Tensor };
    expect(w.shape).toEqual([2, 4]);
    const error = distance(w.dataSync(), kept);
    // Far nearer than the nearest of the averages that were stored.
    const nearest = Math.min(...lengths.map((_, l) => distance(averages[l] as Float64Array, kept)));
    expect([sigmaRel, error < 0.05 * nearest, error < 0.02]).toEqual([sigmaRel, true, true]);
    w.dispose();
  });
  // A snapshot's own profile is found again, at an earlier step too.
  const own = snapshots[20] as EmaSnapshot;
  const again = reconstructEma(snapshots, own);
  expect(distance((again.w as tf.Tensor).dataSync(), (own.average.w as tf.Tensor).dataSync())).toBeLessThan(1e-4);
  tf.dispose(again as tf.TensorContainer);
  expect(tf.memory().numTensors).toBe(before);
  expect(() => reconstructEma(snapshots, { step: 10, sigmaRel: 0.1 })).toThrow(/no snapshot up to step 10/);
  const other = { ...own, average: { v: tf.ones([8]) } };
  expect(() => reconstructEma([own, other], own)).toThrow(/has no "w" of \[2,4\]/);
  tf.dispose([snapshots.map(({ average }) => average), other.average] as unknown as tf.TensorContainer);
});

test('weights that never change come back as they are, however few or far the snapshots', () => {
  const constant = (steps: readonly number[], target: { step: number; sigmaRel: number }) =>
    tf.tidy(() => {
      const snapshots = steps.flatMap((step) =>
        [0.05, 0.1].map((sigmaRel) => ({ step, sigmaRel, average: { w: tf.ones([2]) } })),
      );
      return [...(reconstructEma(snapshots, target).w as tf.Tensor).dataSync()];
    });
  const every = (count: number) => Array.from({ length: count }, (_, i) => 100 * (i + 1));
  for (const [steps, target] of [
    [every(12), { step: 1200, sigmaRel: 0.15 }],
    [every(2), { step: 200, sigmaRel: 0.2 }],
    [every(3), { step: 3000, sigmaRel: 0.05 }],
  ] as const)
    for (const value of constant(steps, target)) expect(value).toBeCloseTo(1, 5);
});
