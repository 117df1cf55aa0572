import { checkMatrix, type Matrix } from './matrix.js';

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
 * The moments of one batch of features, one sample a row. The mean is taken first, so a mean far from 0 costs no digits.
 * @throws RangeError on a number that is not finite or a size that does not fit.
 */
export function moments(features: Matrix): Moments {
  checkMatrix('features', features);
  const { data, rows, columns: d } = features;
  const mean = new Float64Array(d);
  for (let i = 0; i < rows; i++) for (let j = 0; j < d; j++) mean[j] = at(mean, j) + at(data, i * d + j);
  for (let j = 0; j < d; j++) mean[j] = at(mean, j) / rows;

  const scatter = new Float64Array(d * d);
  const centred = new Float64Array(d);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < d; j++) centred[j] = at(data, i * d + j) - at(mean, j);
    addOuter(scatter, centred, 1);
  }
  return { count: rows, mean, scatter: mirror(scatter, d) };
}

/**
 * The moments of two sets of samples together (Chan, Golub & LeVeque 1979). With δ = mean_b − mean_a the scatter is that of
 * `a` plus that of `b` plus δδᵀ n_a n_b/(n_a + n_b). So `reduce(mergeMoments)` over batches gives what all at once would.
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
  const scatter = a.scatter.map((value, i) => value + at(b.scatter, i));
  addOuter(scatter, delta, (a.count * b.count) / count);
  return {
    count,
    mean: a.mean.map((value, j) => value + (at(delta, j) * b.count) / count),
    scatter: mirror(scatter, d),
  };
}

/**
 * The mean μ and the unbiased covariance Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ/(n − 1), of features (one sample a row) or of moments merged
 * over batches.
 * @throws RangeError on fewer than 2 samples, a number that is not finite, or a size that does not fit.
 */
export function gaussianStatistics(source: Matrix | Moments): GaussianStatistics {
  const { count, mean, scatter } = 'scatter' in source ? source : moments(source);
  if (count < 2) throw new RangeError(`a covariance needs at least 2 samples; there is ${count}.`);
  return { mean: mean.slice(), covariance: scatter.map((value) => value / (count - 1)) };
}

/** Adds factor · v vᵀ to the upper triangle of `into`. */
function addOuter(into: Float64Array, v: Float64Array, factor: number): void {
  const d = v.length;
  for (let j = 0; j < d; j++) {
    const scaled = factor * at(v, j);
    for (let k = j; k < d; k++) into[j * d + k] = at(into, j * d + k) + scaled * at(v, k);
  }
}

/** Copies the upper triangle to the lower one, in place. */
function mirror(square: Float64Array, d: number): Float64Array {
  for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) square[j * d + k] = at(square, k * d + j);
  return square;
}

const at = (values: ArrayLike<number>, i: number): number => values[i] as number;
