import type { LinearAlgebra, Matrix } from '@logsnr/core';
import { checkMatrix, pick, rowsOf } from './matrix.js';
import { plain } from './plain.js';

export interface VendiOptions {
  /** A class for each sample: the score is then the mean of the classes' own scores. */
  readonly labels?: ArrayLike<number> | undefined;
  readonly algebra?: LinearAlgebra | undefined;
}

/**
 * The Vendi Score (Friedman & Dieng 2023, arXiv 2210.02410): exp(−Σ λ ln λ) over the eigenvalues of K/n, Kᵢⱼ the cosine of
 * the features of samples i and j. It is the effective number of different samples: 1 where all are alike, n where all
 * are at right angles. With `labels` it says how different the samples of a class are, which is what guidance takes away.
 *
 * Why this one: it needs no reference and no pairs, so unlike a mean distance it tells many modes from two far ones.
 * The eigenvalues of K are those of XᵀX of the scaled features, so n is not bounded by n² memory. It grows with n and
 * depends on the features: compare at equal n with one extractor.
 * @throws RangeError on a number that is not finite, features that are all 0, or labels that do not fit.
 */
export function vendiScore(features: Matrix, { labels, algebra = plain }: VendiOptions = {}): number {
  checkMatrix('features', features);
  if (!labels) return scoreOf(features, algebra);
  if (labels.length !== features.rows)
    throw new RangeError(`there are ${labels.length} labels for ${features.rows} rows of features.`);
  const classes = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    const rows = classes.get(label);
    if (rows) rows.push(i);
    else classes.set(label, [i]);
  }
  const scores = [...classes.values()].map((rows) => scoreOf(pick(features, rows), algebra));
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function scoreOf(features: Matrix, algebra: LinearAlgebra): number {
  const { rows, columns } = features;
  const x = unit(features);
  const gram = algebra.multiply(x, x, rows < columns ? { b: true } : { a: true });
  const entropy = algebra
    .eigenvalues(gram)
    .reduce((sum, e) => (e > 0 ? sum - (e / rows) * Math.log(e / rows) : sum), 0);
  return Math.exp(entropy);
}

/** Every row divided by its length. */
function unit(features: Matrix): Matrix {
  const { data, rows, columns } = rowsOf(features);
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * columns, (i + 1) * columns);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) throw new RangeError(`features row ${i} is all 0; its direction is not defined.`);
    for (let j = 0; j < columns; j++) row[j] = (row[j] as number) / length;
  }
  return { data, rows, columns };
}
