import type { LinearAlgebra, Matrix } from '@logsnr/core';
import { checkMatrix, rowsOf } from './matrix.js';
import { plain } from './plain.js';

/** What is kept of some samples: their number, their mean [d], and Σ (x − mean)(x − mean)ᵀ [d, d], row-major, float64. */
export interface Moments {
  readonly count: number;
  readonly mean: Float64Array;
  readonly scatter: Float64Array;
}

/** The Gaussian fitted to samples: their mean [d] and their unbiased covariance [d, d], row-major, float64. */
export interface GaussianStatistics {
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
}

/**
 * The moments of one batch of features, one sample a row. The mean is taken out first, so a mean far from 0 costs no digits.
 * @param algebra does the product XᵀX of the centred features, O(n d²).
 * @throws RangeError on a number that is not finite or a size that does not fit.
 */
export function moments(features: Matrix, algebra: LinearAlgebra = plain): Moments {
  checkMatrix('features', features);
  const { rows, columns: d } = features;
  const centred = rowsOf(features);
  const mean = new Float64Array(d);
  for (let i = 0; i < rows; i++) for (let j = 0; j < d; j++) mean[j] = at(mean, j) + at(centred.data, i * d + j);
  for (let j = 0; j < d; j++) mean[j] = at(mean, j) / rows;
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < d; j++) centred.data[i * d + j] = at(centred.data, i * d + j) - at(mean, j);
  return { count: rows, mean, scatter: algebra.multiply(centred, centred, { a: true }).data };
}

/**
 * The moments of two sets of samples together (Chan, Golub & LeVeque 1979). With δ = mean_b − mean_a the scatter is that of
 * `a` plus that of `b` plus δδᵀ n_a n_b/(n_a + n_b). So `reduce(mergeMoments)` over batches, or over the shards of several
 * machines, gives what all at once would.
 * @throws RangeError if the dimensions differ.
 */
export function mergeMoments(a: Moments, b: Moments): Moments {
  const d = a.mean.length;
  if (b.mean.length !== d)
    throw new RangeError(
      `the moments have ${d} and ${b.mean.length} dimensions; only moments of the same features merge.`,
    );
  const count = a.count + b.count;
  const delta = b.mean.map((value, j) => value - at(a.mean, j));
  const scatter = new Float64Array(d * d);
  for (let j = 0; j < d; j++) {
    const factor = (at(delta, j) * a.count * b.count) / count;
    for (let k = 0, i = j * d; k < d; k++, i++)
      scatter[i] = at(a.scatter, i) + at(b.scatter, i) + factor * at(delta, k);
  }
  return { count, mean: a.mean.map((value, j) => value + (at(delta, j) * b.count) / count), scatter };
}

/**
 * The mean μ and the unbiased covariance Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ/(n − 1), of features (one sample a row) or of moments merged
 * over batches.
 * @throws RangeError on fewer than 2 samples, a number that is not finite, or a size that does not fit.
 */
export function gaussianStatistics(source: Matrix | Moments, algebra: LinearAlgebra = plain): GaussianStatistics {
  const { count, mean, scatter } = 'scatter' in source ? source : moments(source, algebra);
  if (count < 2) throw new RangeError(`a covariance needs at least 2 samples; there is ${count}.`);
  return { mean: mean.slice(), covariance: scatter.map((value) => value / (count - 1)) };
}

const at = (values: Float64Array, i: number): number => values[i] as number;
