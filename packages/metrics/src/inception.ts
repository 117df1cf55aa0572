import { checkMatrix, type Matrix } from './matrix.js';

export interface InceptionScoreOptions {
  /** Parts of consecutive samples, each of which is scored by itself; 1 unless given. */
  splits?: number;
}

/**
 * The Inception Score exp Eₓ KL(p(y|x) ‖ p(y)), p(y) = Eₓ p(y|x), in nats with 0 ln 0 = 0 (Salimans et al. 2016, arXiv
 * 1606.03498, section 4). It is 1 where all samples look alike or no class is certain. It is at most the number of classes.
 * @param probabilities p(y|x), one sample a row, from the Inception network or another classifier. A row's sum may be off 1
 *   by 1e-3; the row is divided by it.
 * @returns the mean of the splits' scores and their standard deviation (divided by splits, not splits − 1).
 * @throws RangeError on a negative number, one that is not finite, a row that does not sum to 1, or too many splits.
 */
export function inceptionScore(
  probabilities: Matrix,
  { splits = 1 }: InceptionScoreOptions = {},
): { mean: number; std: number } {
  const rows = normalized(probabilities);
  if (!Number.isSafeInteger(splits) || splits < 1 || splits > rows.length)
    throw new RangeError(`splits is ${splits}; it must be an integer from 1 to the ${rows.length} samples.`);
  const start = (split: number) => Math.floor((split * rows.length) / splits);
  const scores = Array.from({ length: splits }, (_, split) => scoreOf(rows.slice(start(split), start(split + 1))));
  const mean = average(scores);
  return { mean, std: Math.sqrt(average(scores.map((score) => (score - mean) ** 2))) };
}

function scoreOf(rows: Float64Array[]): number {
  const marginal = (rows[0] as Float64Array).map((_, y) => average(rows.map((row) => row[y] as number)));
  return Math.exp(average(rows.map((row) => divergence(row, marginal))));
}

/** KL(p ‖ q) in nats; q is 0 only where p is. */
function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, value, y) => (value === 0 ? sum : sum + value * Math.log(value / (q[y] as number))), 0);
}

function normalized(probabilities: Matrix): Float64Array[] {
  checkMatrix('probabilities', probabilities);
  const { data, rows, columns } = probabilities;
  return Array.from({ length: rows }, (_, i) => {
    const row = Float64Array.from({ length: columns }, (_, y) => data[i * columns + y] as number);
    const negative = row.findIndex((value) => value < 0);
    if (negative >= 0)
      throw new RangeError(
        `probabilities row ${i} holds ${row[negative]} in column ${negative}; none may be negative.`,
      );
    const sum = row.reduce((total, value) => total + value, 0);
    if (Math.abs(sum - 1) > 1e-3)
      throw new RangeError(
        `probabilities row ${i} sums to ${sum}; each must sum to 1 (are these logits? apply softmax).`,
      );
    return row.map((value) => value / sum);
  });
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
