import { checkInteger, fold, type Key, key as keyOf, type LinearAlgebra, type Matrix, permutation } from '@logsnr/core';
import { checkPair, pick, rowsOf } from './matrix.js';
import { plain } from './plain.js';

export interface KidOptions {
  /** Random subsets of each set; 100 unless given. */
  readonly subsets?: number | undefined;
  /** Samples in a subset; 1000 unless given, or all that the smaller set has. */
  readonly size?: number | undefined;
  /** Draws the subsets: the same key, the same subsets. */
  readonly key?: Key | undefined;
  readonly algebra?: LinearAlgebra | undefined;
}

export interface Kid {
  /** The mean over the subsets. It may be a little below 0, being unbiased. */
  readonly mean: number;
  /** The standard deviation of the subsets' values (divided by subsets): what papers give. It is no error of the mean. */
  readonly std: number;
  /** A 95 % confidence interval of the distance itself. */
  readonly interval: readonly [number, number];
  /** How many were drawn; one where a subset has all samples of both sets. */
  readonly subsets: number;
  readonly size: number;
}

/**
 * The Kernel Inception Distance (Bińkowski et al. 2018, arXiv 1801.01401): the mean of `mmd` over random subsets of equal
 * size, drawn without repeats in a subset. Unlike FID it has no bias, so small sets compare with large ones.
 *
 * The interval comes from the first-order (Hájek) terms of the U-statistic, averaged for each sample over the subsets that
 * hold it: variance 4 var(a)/n_a + 4 var(b)/n_b. It is wide by up to √2 where the distributions are equal.
 * @throws RangeError on other columns, a number that is not finite, fewer than 2 samples, or a size beyond them.
 */
export function kid(
  a: Matrix,
  b: Matrix,
  { subsets = 100, size, key = keyOf(0), algebra = plain }: KidOptions = {},
): Kid {
  checkPair('the first features', a, 'the second features', b);
  const most = Math.min(a.rows, b.rows);
  const each = size ?? Math.min(1000, most);
  checkInteger('subsets', subsets, 1);
  checkInteger('the samples of a subset', each, 2, most);
  const means = [a, b].map(({ rows }) => ({ sum: new Float64Array(rows), times: new Float64Array(rows) }));
  // A subset that has all samples of both sets is the same each time.
  const draws = each === a.rows && each === b.rows ? 1 : subsets;
  const values = Float64Array.from({ length: draws }, (_, i) => {
    const drawn = [a, b].map(({ rows }, set) => permutation(fold(key, i, set), rows).subarray(0, each));
    const [x, y] = [pick(a, drawn[0] as Uint32Array), pick(b, drawn[1] as Uint32Array)];
    const terms = termsOf(x, y, algebra);
    terms.forEach((values, set) => {
      const { sum, times } = means[set] as (typeof means)[number];
      drawn[set]?.forEach((sample, k) => {
        sum[sample] = (sum[sample] as number) + (values[k] as number);
        times[sample] = (times[sample] as number) + 1;
      });
    });
    return sumOf(terms);
  });
  const mean = average(values);
  const terms = means.map(({ sum, times }) =>
    sum.map((total, i) => total / (times[i] as number)).filter(Number.isFinite),
  );
  return { mean, std: Math.sqrt(variance(values)), interval: intervalOf(mean, terms), subsets: draws, size: each };
}

/**
 * The unbiased squared maximum mean discrepancy of two sets, of any sizes, with the kernel k(x, y) = (x·y/d + 1)³:
 * mean_{i≠j} k(xᵢ, xⱼ) + mean_{i≠j} k(yᵢ, yⱼ) − 2 mean k(xᵢ, yⱼ) (Gretton et al. 2012, JMLR 13, lemma 6). O(n² d) in time, in
 * blocks of 1,024 samples. `interval` is a 95 % confidence interval, as of `kid`.
 */
export function mmd(
  a: Matrix,
  b: Matrix,
  algebra: LinearAlgebra = plain,
): { value: number; interval: readonly [number, number] } {
  checkPair('the first features', a, 'the second features', b);
  for (const { rows } of [a, b]) checkInteger('the number of samples', rows, 2);
  const terms = termsOf(a, b, algebra);
  const value = sumOf(terms);
  return { value, interval: intervalOf(value, terms) };
}

/** For each xᵢ: mean_{j≠i} k(xᵢ, xⱼ) − mean_j k(xᵢ, yⱼ); and so for each yⱼ. The two means add up to the discrepancy. */
function termsOf(x: Matrix, y: Matrix, algebra: LinearAlgebra): readonly [Float64Array, Float64Array] {
  const [xx, yy, xy] = [kernelSums(x, x, algebra), kernelSums(y, y, algebra), kernelSums(x, y, algebra)];
  const own = (sums: Float64Array, { rows }: Matrix, other: Float64Array, n: number) =>
    sums.map((sum, i) => sum / (rows - 1) - (other[i] as number) / n);
  return [own(xx.rows, x, xy.rows, y.rows), own(yy.rows, y, xy.columns, x.rows)];
}

const BLOCK = 1024;

/** Σ over the columns, and over the rows, of the kernel's matrix; without its diagonal where the sets are one. */
function kernelSums(x: Matrix, y: Matrix, algebra: LinearAlgebra): { rows: Float64Array; columns: Float64Array } {
  const [rows, columns] = [new Float64Array(x.rows), new Float64Array(y.rows)];
  for (let i = 0; i < x.rows; i += BLOCK) {
    const left = rowsOf(x, i, i + BLOCK);
    for (let j = 0; j < y.rows; j += BLOCK) {
      const right = rowsOf(y, j, j + BLOCK);
      const products = algebra.multiply(left, right, { b: true }).data;
      for (let r = 0, at = 0; r < left.rows; r++)
        for (let c = 0; c < right.rows; c++, at++) {
          if (x === y && i + r === j + c) continue;
          const value = ((products[at] as number) / x.columns + 1) ** 3;
          rows[i + r] = (rows[i + r] as number) + value;
          columns[j + c] = (columns[j + c] as number) + value;
        }
    }
  }
  return { rows, columns };
}

const sumOf = ([x, y]: readonly [Float64Array, Float64Array]): number => average(x) + average(y);

function intervalOf(value: number, terms: readonly Float64Array[]): readonly [number, number] {
  const error = Math.sqrt(terms.reduce((sum, values) => sum + (4 * variance(values)) / values.length, 0));
  return [value - 1.96 * error, value + 1.96 * error];
}

const average = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function variance(values: Float64Array): number {
  const mean = average(values);
  return average(values.map((value) => (value - mean) ** 2));
}
