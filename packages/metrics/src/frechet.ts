import { Matrix as Dense, EigenvalueDecomposition } from 'ml-matrix';
import { checkMatrix } from './matrix.js';
import type { GaussianStatistics } from './statistics.js';

// Asymmetry and negative eigenvalues up to this part of the largest are rounding, as of statistics stored in float32.
const TOLERANCE = 1e-5;

/**
 * The squared Fréchet distance of two Gaussians: |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^{1/2}). With Inception's pool features
 * it is the FID (Heusel et al. 2017, arXiv 1706.08500, equation 6). With other features it is a distance of the same
 * kind. Compare only distances in the same features.
 *
 * The last trace is tr (Σ₁^{1/2} Σ₂ Σ₁^{1/2})^{1/2}: two symmetric eigendecompositions, O(d³). No matrix is inverted, so a
 * covariance of fewer samples than dimensions will do. Eigenvalues that rounding made negative count as 0.
 * @throws RangeError if the dimensions differ, a number is not finite, or a covariance is asymmetric or not positive.
 */
export function frechetDistance(a: GaussianStatistics, b: GaussianStatistics): number {
  const d = a.mean.length;
  if (b.mean.length !== d)
    throw new RangeError(`the Gaussians have ${d} and ${b.mean.length} dimensions; they must have the same features.`);
  const [first, second] = [covarianceOf('the first', a), covarianceOf('the second', b)];
  const root = squareRoot(first);
  const product = root.mmul(second).mmul(root);
  const cross = eigen(symmetric(product), 'the product of the covariances').values.reduce(
    (sum, e) => sum + Math.sqrt(e),
    0,
  );
  const means = a.mean.reduce((sum, value, i) => sum + (value - (b.mean[i] as number)) ** 2, 0);
  // Rounding can leave a little below 0 where the Gaussians are equal.
  return Math.max(0, means + first.trace() + second.trace() - 2 * cross);
}

function covarianceOf(which: string, { mean, covariance }: GaussianStatistics): Dense {
  const d = mean.length;
  checkMatrix(`${which} mean`, { data: mean, rows: 1, columns: d });
  checkMatrix(`${which} covariance`, { data: covariance, rows: d, columns: d });
  const matrix = Dense.from1DArray(d, d, covariance);
  const scale = Math.max(matrix.max(), -matrix.min());
  for (let i = 0; i < d; i++) {
    if (matrix.get(i, i) < 0)
      throw new RangeError(`${which} covariance has the variance ${matrix.get(i, i)}; variances are not negative.`);
    for (let j = 0; j < i; j++)
      if (Math.abs(matrix.get(i, j) - matrix.get(j, i)) > TOLERANCE * scale)
        throw new RangeError(`${which} covariance is not symmetric: entries (${i}, ${j}) and (${j}, ${i}) differ.`);
  }
  return symmetric(matrix);
}

/** (M + Mᵀ)/2, which takes the rounding of a product out. */
const symmetric = (matrix: Dense): Dense => Dense.add(matrix, matrix.transpose()).mul(0.5);

function eigen(matrix: Dense, what: string): { values: number[]; vectors: Dense } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const largest = realEigenvalues.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const least = Math.min(...realEigenvalues);
  if (least < -TOLERANCE * largest)
    throw new RangeError(`${what} has the eigenvalue ${least}; a covariance has none below 0.`);
  return { values: realEigenvalues.map((value) => Math.max(value, 0)), vectors: eigenvectorMatrix };
}

/** V diag(√e) Vᵀ. */
function squareRoot(matrix: Dense): Dense {
  const { values, vectors } = eigen(matrix, 'the first covariance');
  const scaled = vectors.clone().mulRowVector(values.map(Math.sqrt));
  return scaled.mmul(vectors.transpose());
}
