import { checkInteger, type Matrix } from '@logsnr/core';
import { checkMatrix } from './matrix.js';

/** What a classifier says of samples, one a row. */
export interface ClassScores extends Matrix {
  /** The classifier's name, such as `inception-2015-12-05`. Scores of different classifiers do not compare. */
  readonly classifier: string;
  /** Whether the numbers are logits; else they are probabilities. */
  readonly logits?: boolean;
}

export interface InceptionScoreOptions {
  /** Parts of consecutive samples, each of which is scored by itself; 1 unless given. Papers take 10. */
  splits?: number;
}

export interface InceptionScore {
  /** The mean of the splits' scores. */
  readonly mean: number;
  /** Their standard deviation (divided by splits, not splits − 1). */
  readonly std: number;
  readonly splits: number;
  /** Whose probabilities it is of. */
  readonly classifier: string;
}

/**
 * The Inception Score exp Eₓ KL(p(y|x) ‖ p(y)), p(y) = Eₓ p(y|x), in nats with 0 ln 0 = 0 (Salimans et al. 2016, arXiv
 * 1606.03498, section 4). It is 1 where all samples look alike or no class is certain. It is at most the number of classes.
 * It is the published score only for the logits of the Inception network of 2015-12-05; the result names the classifier.
 *
 * One pass over the rows, ln p taken from logits without the softmax: E KL = E Σ p ln p − Σ p(y) ln p(y).
 * @param scores p(y|x) or logits. A row of probabilities may sum to 1 ± 1e-3; it is divided by its sum.
 * @throws RangeError on a negative probability, a number that is not finite, a row that does not sum to 1, no name, or
 *   too many splits.
 */
export function inceptionScore(scores: ClassScores, { splits = 1 }: InceptionScoreOptions = {}): InceptionScore {
  checkMatrix(scores.logits ? 'logits' : 'probabilities', scores);
  const { rows, classifier } = scores;
  if (!classifier) throw new RangeError('the class probabilities have no classifier; say whose they are.');
  checkInteger('splits', splits, 1, rows);
  const start = (split: number) => Math.floor((split * rows) / splits);
  const parts = Array.from({ length: splits }, (_, split) => scoreOf(scores, start(split), start(split + 1)));
  const mean = average(parts);
  return { mean, std: Math.sqrt(average(parts.map((score) => (score - mean) ** 2))), splits, classifier };
}

function scoreOf(scores: ClassScores, first: number, end: number): number {
  const [marginal, logs] = [new Float64Array(scores.columns), new Float64Array(scores.columns)];
  const n = end - first;
  let certainty = 0;
  for (let i = first; i < end; i++) {
    logProbabilities(scores, i, logs);
    for (let y = 0; y < logs.length; y++) {
      const log = logs[y] as number;
      const p = Math.exp(log);
      if (p > 0) certainty += (p * log) / n;
      marginal[y] = (marginal[y] as number) + p / n;
    }
  }
  const spread = marginal.reduce((sum, p) => (p > 0 ? sum + p * Math.log(p) : sum), 0);
  return Math.exp(certainty - spread);
}

/** ln p(y|x) of row i, into `logs`. */
function logProbabilities({ data, columns, logits }: ClassScores, i: number, logs: Float64Array): void {
  for (let y = 0; y < columns; y++) logs[y] = data[i * columns + y] as number;
  if (logits) {
    const most = logs.reduce((a, b) => Math.max(a, b));
    const total = most + Math.log(logs.reduce((sum, value) => sum + Math.exp(value - most), 0));
    for (let y = 0; y < columns; y++) logs[y] = (logs[y] as number) - total;
    return;
  }
  const negative = logs.findIndex((value) => value < 0);
  if (negative >= 0)
    throw new RangeError(`probabilities row ${i} holds ${logs[negative]} in column ${negative}; none may be negative.`);
  const sum = logs.reduce((total, value) => total + value, 0);
  if (Math.abs(sum - 1) > 1e-3)
    throw new RangeError(
      `probabilities row ${i} sums to ${sum}; each must sum to 1 (are these logits? say logits: true).`,
    );
  for (let y = 0; y < columns; y++) logs[y] = Math.log((logs[y] as number) / sum);
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
