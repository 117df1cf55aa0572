import { alpha, type EpsFunction, type Guided, key, labels, normal, scales, sigma, toModel } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { progressive } from './progressive.js';

const conditioning = labels(2);
type C = Guided<tf.Tensor1D>;
/** Data N(m, s²) with m = ±1 by the label, moved by w: x̂ = m + α s² (z − α m)/(α² s² + σ²), which no DDIM step of finite length follows. */
const std = 0.4;
const xOf = (z: number, lambda: number, m: number) => {
  const [a, s] = [alpha(lambda), sigma(lambda)];
  return m + (a * std ** 2 * (z - a * m)) / (a ** 2 * std ** 2 + s ** 2);
};
const teacher: EpsFunction<C> = (z, lambda, { condition, w }) =>
  tf.tidy(() => {
    const m = tf.reshape(tf.add(tf.sub(tf.mul(tf.cast(condition, 'float32'), 2), 1), tf.mul(w, 0.1)), [-1, 1]);
    const { alpha, sigma } = scales(z, lambda);
    const variance = tf.add(tf.mul(tf.square(alpha), std ** 2), tf.square(sigma));
    return tf.mul(sigma, tf.div(tf.sub(z, tf.mul(alpha, m)), variance));
  });
const mean = (label: number, w: number) => 2 * label - 1 + 0.1 * w;

/** A step of DDIM in float64; to clean data without `to`. */
function ddim(z: number, lambda: number, to: number | undefined, x: number): number {
  if (to === undefined) return x;
  return alpha(to) * x + (sigma(to) * (z - alpha(lambda) * x)) / sigma(lambda);
}

const lambdas = [-7, -4, -2, -0.5, 1, 2, 4, 7];
const own = [-7, -2, 1, 4];
/** The paper's x̃ = (z'' − σ''/σ z)/(α'' − σ''/σ α) of two exact steps, in float64. */
function wanted(z: number, i: number, m: number): number {
  const [from, middle, to] = [own[i] as number, lambdas[2 * i + 1] as number, own[i + 1]];
  const halfway = ddim(z, from, middle, xOf(z, from, m));
  const end = ddim(halfway, middle, to, xOf(halfway, middle, m));
  if (to === undefined) return end;
  const share = sigma(to) / sigma(from);
  return (end - share * z) / (alpha(to) - share * alpha(from));
}
/** The student that is wholly taught, at these points. */
const taught: EpsFunction<C> = (z, lambda, { condition, w }) =>
  tf.tidy(() => {
    const [levels, classes, weights] = [lambda, condition, w].map((values) => values.dataSync());
    const rows = (z.arraySync() as number[][]).map((row, k) => {
      const i = own.indexOf(levels?.[k] as number);
      const m = mean(classes?.[k] as number, weights?.[k] as number);
      return row.map((value) => (value - alpha(own[i] as number) * wanted(value, i, m)) / sigma(own[i] as number));
    });
    return tf.tensor2d(rows);
  });

const n = 8;
const inputs = {
  ...{ conditioning, x: normal(key(0), [n, 2]), eps: normal(key(1), [n, 2]) },
  lambda: tf.tensor1d([...own, ...own]),
  w: tf.tensor1d([0, 1, 2, 3, 4, 3, 2, 1]),
  condition: conditioning.of([0, 0, 1, 1, 1, 0, 1, 0]),
};
const numberOf = (loss: tf.Scalar): number => tf.tidy(() => loss.dataSync()[0] as number);

describe('progressive distillation', () => {
  const stage = progressive(teacher, { lambdas, weights: [0, 4] });

  test('is 0 for the student whose step is two of the teacher’s, and for others the mean square of what ε̂ lacks', () => {
    const loss = (model: EpsFunction<C>, more = {}) => numberOf(stage.loss({ ...inputs, model, ...more }));
    expect(loss(taught)).toBeLessThan(1e-9);
    const off: EpsFunction<C> = (z, lambda, c) => tf.tidy(() => tf.add(taught(z, lambda, c), 0.3));
    expect(loss(off)).toBeCloseTo(0.09, 5);
    expect(loss(off, { weight: tf.tensor1d([1, 2, 3, 4, 5, 6, 7, 8]) })).toBeCloseTo(0.09 * 4.5, 4);
    // The teacher itself is not yet what its student should be.
    expect(loss(teacher)).toBeGreaterThan(1e-3);
    expectNoLeak(() => stage.loss({ ...inputs, model: teacher }));
  });

  test('in x̂ and v too, also at the last step, where ε̂ says little', () => {
    const as =
      (prediction: 'x' | 'v'): EpsFunction<C> =>
      (z, lambda, c) =>
        tf.tidy(() => {
          const eps = taught(z, lambda, c);
          const { alpha, sigma } = scales(z, lambda);
          const x = tf.div(tf.sub(z, tf.mul(sigma, eps)), alpha);
          return prediction === 'x' ? x : tf.sub(tf.mul(alpha, eps), tf.mul(sigma, x));
        });
    for (const prediction of ['x', 'v'] as const)
      expect(numberOf(stage.loss({ ...inputs, model: as(prediction), prediction }))).toBeLessThan(1e-8);
  });

  test('the taught student walks its half grid to where the teacher walks the whole one', () => {
    const walk = (like: EpsFunction<C>, grid: readonly number[]) =>
      tf.tidy(() => {
        const model = toModel(like);
        let z: tf.Tensor = normal(key(2), [2, 2]);
        for (const [i, level] of grid.entries()) {
          const made = model.predict(z, tf.fill([2], level) as tf.Tensor1D, guided, null);
          const next = grid[i + 1];
          z = next === undefined ? made.x : tf.add(tf.mul(made.x, alpha(next)), tf.mul(made.eps, sigma(next)));
        }
        return [...z.dataSync()];
      });
    const guided = { condition: conditioning.of([0, 1]), w: tf.tensor1d([0, 2]) };
    const [half, whole, few] = [walk(taught, stage.lambdas), walk(teacher, lambdas), walk(teacher, stage.lambdas)];
    half.forEach((value, i) => {
      expect(value).toBeCloseTo(whole[i] as number, 4);
    });
    expect(Math.max(...few.map((value, i) => Math.abs(value - (whole[i] as number))))).toBeGreaterThan(1e-2);
  });

  test('trains at each point of the student’s grid alike, λ falling with u', () => {
    expect(stage.lambdas).toEqual(own);
    const drawn = Array.from({ length: 8 }, (_, i) => stage.schedule((i + 0.5) / 8));
    expect(drawn).toEqual([4, 4, 1, 1, -2, -2, -7, -7]);
    expect([stage.schedule(0), stage.schedule(1)]).toEqual([4, -7]);
    expect(stage.weight(0.25)).toBe(1);
  });

  test('one step is a stage too; refuses an odd grid and weights out of order', () => {
    const last = progressive(teacher, { lambdas: [-2, 1], weights: [0, 4] });
    expect(last.lambdas).toEqual([-2]);
    expect(last.schedule(0.7)).toBe(-2);
    expect(() => progressive(teacher, { lambdas: [0, 1, 2], weights: [0, 1] })).toThrow(
      'grid has 3 points; it must have an even',
    );
    expect(() => progressive(teacher, { lambdas, weights: [2, 1] })).toThrow('give the least first');
  });
});
