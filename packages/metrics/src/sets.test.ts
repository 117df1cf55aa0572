import { fold, key, type Matrix, permutation, uniforms } from '@logsnr/core';
import { expect, test } from 'vitest';
import { frechetInfinity, gaussianStatistics, kid, manifold, mmd, vendiScore } from './index.js';
import { pick } from './matrix.js';

const matrix = (rows: number[][]): Matrix => ({ data: rows.flat(), rows: rows.length, columns: rows[0]?.length ?? 0 });

/** Standard normal numbers (Box–Muller), with a mean and a deviation. */
const gaussians = (seed: number, rows: number, columns: number, mean = 0, deviation = 1): Matrix => {
  const [u, v] = [uniforms(fold(key(seed), 0), rows * columns), uniforms(fold(key(seed), 1), rows * columns)];
  const data = u.map(
    (value, i) => mean + deviation * Math.sqrt(-2 * Math.log(1 - value)) * Math.cos(2 * Math.PI * (v[i] as number)),
  );
  return { data, rows, columns };
};
const line = (...values: number[]): Matrix => matrix(values.map((value) => [value]));

test('mmd by hand: the kernel (xy + 1)³, no sample with itself', () => {
  // {0, 1} and {2, 3}: k(0, 1) = 1; k(2, 3) = 343; across 1, 1, 27, 64, mean 93/4.
  expect(mmd(line(0, 1), line(2, 3)).value).toBeCloseTo(1 + 343 - 2 * (93 / 4), 10);
  // In two dimensions the product is halved: (1·1 + 1·3)/2 + 1 = 3.
  expect(
    mmd(
      matrix([
        [1, 1],
        [1, 3],
      ]),
      matrix([
        [0, 0],
        [0, 0],
      ]),
    ).value,
  ).toBeCloseTo(27 + 1 - 2, 10);
});

test('blocks change nothing, and sets may differ in size', () => {
  const [a, b] = [gaussians(1, 1100, 3), gaussians(2, 1050, 3, 0.2)];
  let [aa, bb, ab] = [0, 0, 0];
  const kernel = (x: Matrix, i: number, y: Matrix, j: number) =>
    ([0, 1, 2].reduce((sum, k) => sum + (x.data[3 * i + k] as number) * (y.data[3 * j + k] as number), 0) / 3 + 1) ** 3;
  for (let i = 0; i < 1100; i++) for (let j = 0; j < 1100; j++) if (i !== j) aa += kernel(a, i, a, j) / (1100 * 1099);
  for (let i = 0; i < 1050; i++) for (let j = 0; j < 1050; j++) if (i !== j) bb += kernel(b, i, b, j) / (1050 * 1049);
  for (let i = 0; i < 1100; i++) for (let j = 0; j < 1050; j++) ab += kernel(a, i, b, j) / (1100 * 1050);
  expect(mmd(a, b).value).toBeCloseTo(aa + bb - 2 * ab, 10);
});

test('KID is the mean of mmd over subsets that a key draws', () => {
  const [a, b] = [gaussians(1, 60, 4), gaussians(2, 50, 4, 0.5)];
  const options = { subsets: 7, size: 20, key: key(3) };
  const values = Array.from({ length: 7 }, (_, i) => {
    const [x, y] = [a, b].map((m, set) => pick(m, permutation(fold(key(3), i, set), m.rows).subarray(0, 20)));
    return mmd(x as Matrix, y as Matrix).value;
  });
  const mean = values.reduce((sum, value) => sum + value / 7, 0);
  const found = kid(a, b, options);
  expect(found.mean).toBeCloseTo(mean, 12);
  expect(found.std).toBeCloseTo(Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2 / 7, 0)), 12);
  expect(kid(a, b, options)).toEqual(found);
  expect(kid(a, b, { ...options, key: key(4) }).mean).not.toBe(found.mean);
  // All samples at once: mmd itself, with its interval.
  const whole = mmd(a, gaussians(2, 60, 4, 0.5));
  const once = kid(a, gaussians(2, 60, 4, 0.5), { size: 60 });
  expect(once.subsets).toBe(1); // All of both sets: each subset would be the same.
  expect(once.std).toBe(0);
  expect(once.mean).toBeCloseTo(whole.value, 12);
  expect(once.interval[0]).toBeCloseTo(whole.interval[0], 10);
});

test('the interval of KID holds the true distance in about 95 of 100 cases, and is not far too wide', () => {
  // x ~ N(0, 1), y ~ N(m, 1): E (xx' + 1)³ = 1 + 3; of y with s = m² + 1, t = m³ + 3m: t² + 3s² + 3m² + 1; across 3s + 1.
  const m = 0.6;
  const [s, t] = [m * m + 1, m ** 3 + 3 * m];
  const truth = 4 + t * t + 3 * s * s + 3 * m * m + 1 - 2 * (3 * s + 1);
  const found = Array.from({ length: 300 }, (_, i) =>
    kid(gaussians(2 * i, 120, 1), gaussians(2 * i + 1, 120, 1, m), { subsets: 12, size: 60 }),
  );
  const held = found.filter(({ interval: [low, high] }) => low <= truth && truth <= high).length;
  expect(held).toBeGreaterThan(300 * 0.88);
  expect(held).toBeLessThan(300 * 0.995);
  // No bias: the mean of the means is the truth within 3 standard errors.
  const mean = found.reduce((sum, { mean }) => sum + mean / 300, 0);
  const spread = Math.sqrt(found.reduce((sum, { mean: value }) => sum + (value - mean) ** 2 / 300, 0));
  expect(Math.abs(mean - truth)).toBeLessThan((3 * spread) / Math.sqrt(300));
});

test('precision, recall, density and coverage by hand', () => {
  // Real 0, 1, 2, 10 with k = 1: radii 1, 1, 1, 8. Generated 1.5, 2.5, 30: radii 1, 1, 27.5.
  // 1.5 lies in the balls of 1 and 2, 2.5 in those of 2 and 10, 30 in none. 1 and 2 lie in balls of 1.5 and 2.5; so does 10 in that of 30.
  expect(manifold(line(0, 1, 2, 10), line(1.5, 2.5, 30), { k: 1 })).toEqual({
    ...{ precision: 2 / 3, recall: 3 / 4, density: 4 / 3, coverage: 3 / 4 },
  });
});

test('the size of a block changes no manifold, nor does a common shift', () => {
  const [real, generated] = [gaussians(1, 90, 5), gaussians(2, 70, 5, 0.5, 0.8)];
  const whole = manifold(real, generated, { k: 4 });
  expect(whole.precision).toBeGreaterThan(whole.recall);
  for (const block of [1, 7, 64]) expect(manifold(real, generated, { k: 4, block })).toEqual(whole);
  const far = ({ data, ...size }: Matrix): Matrix => ({
    ...size,
    data: Float64Array.from(data, (value) => value + 1e6),
  });
  expect(manifold(far(real), far(generated), { k: 4 })).toEqual(whole);
});

test('the Fréchet distance of infinitely many samples is nearer the truth than that of all', () => {
  const d = 8;
  const reference = {
    mean: new Float64Array(d),
    covariance: Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0)),
  };
  // N(0.1, 1.2² I) against N(0, I): d (0.1² + 0.2²).
  const truth = d * 0.05;
  const { distance, slope, fit, points } = frechetInfinity(gaussians(5, 4000, d, 0.1, 1.2), reference, { least: 200 });
  expect(points.map(({ n }) => n)).toEqual(Array.from({ length: 15 }, (_, i) => Math.floor(200 + (3800 * i) / 14)));
  expect(points.at(-1)?.distance).toBeCloseTo(
    frechetInfinity(gaussians(5, 4000, d, 0.1, 1.2), reference, { points: 2, key: key(9) }).points[1]?.distance ?? 0,
    10,
  );
  expect(slope).toBeGreaterThan(0);
  expect(fit).toBeGreaterThan(0.3);
  expect(Math.abs(distance - truth)).toBeLessThan(0.03);
});

test('where n changes nothing, neither does n → ∞', () => {
  const reference = { mean: Float64Array.of(0), covariance: Float64Array.of(4) };
  const found = frechetInfinity(line(...Array<number>(40).fill(3)), reference, { points: 4 });
  expect(found.distance).toBeCloseTo(9 + 4, 10);
  expect(found.slope).toBeCloseTo(0, 8);
});

test('Vendi: n at right angles, 1 where alike, the groups of groups, and both Gram matrices agree', () => {
  expect(
    vendiScore(
      matrix([
        [2, 0, 0],
        [0, 5, 0],
        [0, 0, 1],
      ]),
    ),
  ).toBeCloseTo(3, 12);
  expect(
    vendiScore(
      matrix([
        [1, 1],
        [2, 2],
        [3, 3],
      ]),
    ),
  ).toBeCloseTo(1, 12);
  // Weights 3/4 and 1/4.
  expect(
    vendiScore(
      matrix([
        [1, 0],
        [1, 0],
        [2, 0],
        [0, 1],
      ]),
    ),
  ).toBeCloseTo(0.75 ** -0.75 * 0.25 ** -0.25, 12);
  // Two samples at 60°: eigenvalues (1 ± 1/2)/2.
  expect(
    vendiScore(
      matrix([
        [1, 0, 0],
        [0.5, Math.sqrt(0.75), 0],
      ]),
    ),
  ).toBeCloseTo(0.75 ** -0.75 * 0.25 ** -0.25, 12);
  const wide = gaussians(1, 6, 9);
  const padded = { data: [...Array.from(wide.data), ...Array.from(wide.data)], rows: 12, columns: 9 };
  expect(vendiScore(padded)).toBeCloseTo(vendiScore(wide), 10);
  // Within classes: class 0 has one direction, class 1 two.
  const x = matrix([
    [1, 0],
    [1, 0],
    [1, 0],
    [0, 1],
  ]);
  expect(vendiScore(x, { labels: [0, 0, 1, 1] })).toBeCloseTo((1 + 2) / 2, 12);
});

test('errors say what is wrong', () => {
  const [one, two] = [line(1), line(1, 2)];
  expect(() => kid(one, two)).toThrow('the samples of a subset is 1; it must be an integer');
  expect(() => kid(two, two, { size: 3 })).toThrow('the samples of a subset is 3; it must be an integer from 2 to 2');
  expect(() => mmd(two, matrix([[1, 2]]))).toThrow('have 1 and 2 columns; they must be the same features');
  expect(() => mmd(two, line(1, Number.NaN))).toThrow('the second features holds NaN at row 1');
  expect(() => manifold(two, two, { k: 2 })).toThrow('k is 2; it must be an integer from 1 to 1');
  expect(() =>
    vendiScore(
      matrix([
        [1, 0],
        [0, 0],
      ]),
    ),
  ).toThrow('row 1 is all 0');
  expect(() => vendiScore(two, { labels: [1] })).toThrow('1 labels for 2 rows');
  expect(() => frechetInfinity(two, gaussianStatistics(two))).toThrow('the least number of samples');
});
