import type { Float64Matrix, LinearAlgebra } from '@logsnr/core';
import { checkMatrix } from './matrix.js';
import { plain } from './plain.js';
import type { GaussianStatistics } from './statistics.js';

// Asymmetry and negative eigenvalues up to this part of the largest are rounding, as of statistics stored in float32.
const TOLERANCE = 1e-5;

/**
 * The squared Fréchet distance of two Gaussians: |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^{1/2}). With Inception's pool features
 * it is the FID (Heusel et al. 2017, arXiv 1706.08500, equation 6). With other features it is a distance of the same
 * kind. Compare only distances in the same features, from equally many samples.
 *
 * The last trace is Σ √eig(FᵀΣ₂F) for any F with F Fᵀ = Σ₁, since that has the eigenvalues of Σ₁Σ₂. F is Cholesky's factor;
 * where Σ₁ is singular, as with fewer samples than dimensions, it is V √E of the eigenvalues above rounding, [d, rank].
 * Both are exact for such a covariance: nothing is added to its diagonal and no matrix is inverted. O(d³).
 * @throws RangeError if the dimensions differ, a number is not finite, or a covariance is asymmetric or not positive.
 */
export function frechetDistance(a: GaussianStatistics, b: GaussianStatistics, algebra: LinearAlgebra = plain): number {
  return frechetFrom(a, algebra)(b);
}

/** The distance of others from one Gaussian, whose factor is made once. `which` names the two in errors. */
export function frechetFrom(
  a: GaussianStatistics,
  algebra: LinearAlgebra,
  which: readonly [string, string] = ['the first', 'the second'],
): (b: GaussianStatistics) => number {
  const first = covarianceOf(which[0], a);
  let factor: Float64Matrix | undefined;
  return (b) => {
    const d = a.mean.length;
    if (b.mean.length !== d)
      throw new RangeError(
        `the Gaussians have ${d} and ${b.mean.length} dimensions; they must have the same features.`,
      );
    const second = covarianceOf(which[1], b);
    factor ??= factorOf(first, algebra, which[0]);
    const cross = factor.columns === 0 ? 0 : rootTrace(factor, second, algebra);
    const means = a.mean.reduce((sum, value, i) => sum + (value - (b.mean[i] as number)) ** 2, 0);
    // Rounding can leave a little below 0 where the Gaussians are equal.
    return Math.max(0, means + trace(first) + trace(second) - 2 * cross);
  };
}

function covarianceOf(which: string, { mean, covariance }: GaussianStatistics): Float64Matrix {
  const d = mean.length;
  checkMatrix(`${which} mean`, { data: mean, rows: 1, columns: d });
  const matrix = { data: covariance, rows: d, columns: d };
  checkMatrix(`${which} covariance`, matrix);
  const scale = covariance.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < d; i++) {
    const variance = covariance[i * d + i] as number;
    if (variance < 0)
      throw new RangeError(`${which} covariance has the variance ${variance}; variances are not negative.`);
    for (let j = 0; j < i; j++)
      if (Math.abs((covariance[i * d + j] as number) - (covariance[j * d + i] as number)) > TOLERANCE * scale)
        throw new RangeError(`${which} covariance is not symmetric: entries (${i}, ${j}) and (${j}, ${i}) differ.`);
  }
  return symmetric(matrix);
}

/** tr (F Fᵀ Σ)^{1/2}. */
function rootTrace(factor: Float64Matrix, covariance: Float64Matrix, algebra: LinearAlgebra): number {
  const product = algebra.multiply(factor, algebra.multiply(covariance, factor), { a: true });
  const values = algebra.eigenvalues(symmetric(product));
  checkPositive(values, 'the product of the covariances');
  return values.reduce((sum, e) => sum + Math.sqrt(Math.max(e, 0)), 0);
}

/** F with F Fᵀ = Σ, [d, rank]. */
function factorOf(covariance: Float64Matrix, algebra: LinearAlgebra, which: string): Float64Matrix {
  const d = covariance.rows;
  const lower = algebra.cholesky(covariance);
  // The least pivot bounds the least eigenvalue from above. Below this the factor's last columns may be rounding alone.
  const pivots = lower && Float64Array.from({ length: d }, (_, i) => (lower.data[i * d + i] as number) ** 2);
  if (lower && pivots && least(pivots) > d * 2 ** -40 * largest(pivots)) return lower;
  const { values, vectors } = algebra.eigen(covariance);
  checkPositive(values, `${which} covariance`);
  const kept = [...values.keys()].filter((j) => (values[j] as number) > d * Number.EPSILON * largest(values));
  const data = new Float64Array(d * kept.length);
  for (let i = 0; i < d; i++)
    kept.forEach((j, k) => {
      data[i * kept.length + k] = (vectors.data[i * d + j] as number) * Math.sqrt(values[j] as number);
    });
  return { data, rows: d, columns: kept.length };
}

/** (M + Mᵀ)/2, which takes the rounding of a product out. */
function symmetric({ data, rows: d }: Float64Matrix): Float64Matrix {
  const mean = new Float64Array(d * d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++) mean[i * d + j] = ((data[i * d + j] as number) + (data[j * d + i] as number)) / 2;
  return { data: mean, rows: d, columns: d };
}

function checkPositive(values: Float64Array, what: string): void {
  if (least(values) < -TOLERANCE * largest(values))
    throw new RangeError(`${what} has the eigenvalue ${least(values)}; a covariance has none below 0.`);
}

const least = (values: Float64Array): number => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const largest = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const trace = ({ data, rows }: Float64Matrix): number => {
  let sum = 0;
  for (let i = 0; i < rows; i++) sum += data[i * rows + i] as number;
  return sum;
};
