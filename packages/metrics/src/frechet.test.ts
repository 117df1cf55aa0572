import { expect, test } from 'vitest';
import {
  frechetDistance,
  type GaussianStatistics,
  gaussianStatistics,
  type Matrix,
  mergeMoments,
  moments,
} from './index.js';

const gaussian = (mean: number[], covariance: number[]): GaussianStatistics => ({
  mean: Float64Array.from(mean),
  covariance: Float64Array.from(covariance),
});

/** Numbers that look random and are the same everywhere. */
const samples = (rows: number, columns: number, seed = 1): Matrix => {
  let state = seed;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return { data: Float64Array.from({ length: rows * columns }, () => next() + next() + next() - 1.5), rows, columns };
};

test('statistics are the mean and the unbiased covariance', () => {
  // Columns 1, 2, 6 and 0, 4, 2: means 3 and 2; Σ(x−3)² = 14, Σ(y−2)² = 8, Σ(x−3)(y−2) = 4 − 2 + 0 = 2; over n − 1 = 2.
  const { mean, covariance } = gaussianStatistics({ data: [1, 0, 2, 4, 6, 2], rows: 3, columns: 2 });
  expect([...mean]).toEqual([3, 2]);
  expect([...covariance]).toEqual([7, 1, 1, 4]);
});

test('merged moments are those of one pass, however the samples are split', () => {
  const all = samples(101, 5);
  for (const sizes of [[1, 100], [50, 50, 1], Array<number>(101).fill(1), [101]]) {
    let start = 0;
    const parts = sizes.map((rows) => {
      const data = (all.data as Float64Array).subarray(start * 5, (start + rows) * 5);
      start += rows;
      return moments({ data, rows, columns: 5 });
    });
    const [merged, whole] = [gaussianStatistics(parts.reduce(mergeMoments)), gaussianStatistics(all)];
    whole.mean.forEach((value, i) => {
      expect(merged.mean[i]).toBeCloseTo(value, 13);
    });
    whole.covariance.forEach((value, i) => {
      expect(merged.covariance[i]).toBeCloseTo(value, 13);
    });
  }
});

test('a mean far from 0 costs the covariance no digits, in one pass or merged', () => {
  const far = { data: [1e8 + 1, 1e8 + 2, 1e8 + 6], rows: 3, columns: 1 };
  expect(gaussianStatistics(far).covariance[0]).toBe(7);
  const parts = far.data.map((value) => moments({ data: [value], rows: 1, columns: 1 }));
  expect(gaussianStatistics(parts.reduce(mergeMoments)).covariance[0]).toBeCloseTo(7, 6);
});

test('one dimension: (μ₁ − μ₂)² + (σ₁ − σ₂)²', () => {
  expect(frechetDistance(gaussian([1], [4]), gaussian([-2], [25]))).toBeCloseTo(9 + 9, 12);
});

test('covariances that commute: the sum of (√e₁ − √e₂)² over shared eigenvectors', () => {
  // Both have the eigenvectors (1, 1) and (1, −1): eigenvalues 9, 1 and 16, 4, so 1 + 1, and |μ₁ − μ₂|² = 1 + 4.
  const [a, b] = [gaussian([0, 0], [5, 4, 4, 5]), gaussian([1, 2], [10, 6, 6, 10])];
  expect(frechetDistance(a, b)).toBeCloseTo(5 + 2, 12);
});

test('covariances that do not commute: tr √M = √(tr M + 2 √det M) for the 2 × 2 product M', () => {
  // Σ₁ = [[2, 1], [1, 2]], Σ₂ = [[3, 0], [0, 1]]: M = [[6, 1], [3, 2]], tr 8, det 9, tr √M = √14.
  const [a, b] = [gaussian([0, 0], [2, 1, 1, 2]), gaussian([0, 0], [3, 0, 0, 1])];
  expect(frechetDistance(a, b)).toBeCloseTo(4 + 4 - 2 * Math.sqrt(14), 12);
  expect(frechetDistance(b, a)).toBeCloseTo(8 - 2 * Math.sqrt(14), 12);
});

test('a distance: 0 to itself, symmetric, unmoved by a rotation, and quadratic in the scale', () => {
  const [x, y] = [gaussianStatistics(samples(60, 8)), gaussianStatistics(samples(60, 8, 7))];
  expect(frechetDistance(x, x)).toBeLessThan(1e-12);
  const distance = frechetDistance(x, y);
  expect(distance).toBeGreaterThan(0.01);
  expect(frechetDistance(y, x)).toBeCloseTo(distance, 12);
  const scaled = (g: GaussianStatistics) =>
    gaussian(
      [...g.mean].map((v) => 3 * v),
      [...g.covariance].map((v) => 9 * v),
    );
  expect(frechetDistance(scaled(x), scaled(y))).toBeCloseTo(9 * distance, 11);
  const rotated = (seed: number) => {
    const { data } = samples(60, 8, seed);
    const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
    const turned = Float64Array.from(data, (value, i) => {
      if (i % 8 === 2) return c * value - s * (data[i + 3] as number);
      return i % 8 === 5 ? s * (data[i - 3] as number) + c * value : value;
    });
    return gaussianStatistics({ data: turned, rows: 60, columns: 8 });
  };
  expect(frechetDistance(rotated(1), rotated(7))).toBeCloseTo(distance, 11);
});

test('fewer samples than dimensions', () => {
  const few = gaussianStatistics(samples(4, 20));
  expect(frechetDistance(few, few)).toBeLessThan(1e-6);
  // Rank one each: Σ = u uᵀ and v vᵀ, so tr (Σ₁Σ₂)^{1/2} = |u·v| = 1; |u|² = 14, |v|² = 5.
  const outer = (u: number[]) =>
    gaussian(
      [0, 0, 0],
      u.flatMap((a) => u.map((b) => a * b)),
    );
  expect(frechetDistance(outer([1, 2, 3]), outer([2, 1, -1].map((v) => -v)))).toBeCloseTo(14 + 6 - 2 * 1, 6);
  // A single repeated sample against N(0, I): |μ|² + d.
  const point = gaussianStatistics({ data: [1, 2, 1, 2], rows: 2, columns: 2 });
  expect(frechetDistance(point, gaussian([0, 0], [1, 0, 0, 1]))).toBeCloseTo(5 + 2, 12);
  expect(frechetDistance(gaussian([0, 0], [1, 0, 0, 1]), point)).toBeCloseTo(5 + 2, 12);
});

test('float32 features and float32 statistics are fine', () => {
  const { data, rows, columns } = samples(10, 16);
  const features = { data: Float32Array.from(data), rows, columns };
  const { mean, covariance } = gaussianStatistics(features);
  const stored = { mean: Float64Array.from(mean, Math.fround), covariance: Float64Array.from(covariance, Math.fround) };
  expect(frechetDistance(stored, gaussianStatistics(features))).toBeLessThan(1e-2);
});

test('errors say what is wrong and where', () => {
  expect(() => gaussianStatistics({ data: [1, 2], rows: 1, columns: 2 })).toThrow('at least 2 samples; there is 1.');
  expect(() => moments({ data: [1, 2, 3, Number.NaN], rows: 2, columns: 2 })).toThrow('holds NaN at row 1, column 1');
  expect(() => moments({ data: [1, 2, 3], rows: 2, columns: 2 })).toThrow('features has 3 numbers; 2 × 2 needs 4.');
  expect(() => moments({ data: [], rows: 0, columns: 2 })).toThrow('features is 0 × 2');
  const one = moments({ data: [1], rows: 1, columns: 1 });
  expect(() => mergeMoments(one, moments({ data: [1, 2], rows: 1, columns: 2 }))).toThrow('1 and 2 dimensions');
  const unit = gaussian([0, 0], [1, 0, 0, 1]);
  expect(() => frechetDistance(unit, gaussian([0], [1]))).toThrow('have 2 and 1 dimensions');
  expect(() => frechetDistance(unit, gaussian([0, Number.NaN], [1, 0, 0, 1]))).toThrow('the second mean holds NaN');
  expect(() => frechetDistance(gaussian([0, 0], [1, 0, 0]), unit)).toThrow('the first covariance has 3 numbers');
  expect(() => frechetDistance(unit, gaussian([0, 0], [1, 0.5, 0, 1]))).toThrow(
    'the second covariance is not symmetric',
  );
  expect(() => frechetDistance(gaussian([0, 0], [1, 2, 2, 1]), unit)).toThrow(
    'the first covariance has the eigenvalue -',
  );
  expect(() => frechetDistance(unit, gaussian([0, 0], [1, 0, 0, -1]))).toThrow('the variance -1');
});
