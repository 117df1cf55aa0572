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

/** The Inception Score of samples that come in parts. */
export interface InceptionScorer {
  /** The next samples, in their order. */
  add(scores: ClassScores): void;
  /** @throws RangeError before all samples have come. */
  score(): InceptionScore;
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
export function inceptionScore(scores: ClassScores, options: InceptionScoreOptions = {}): InceptionScore {
  checkMatrix(scores.logits ? 'logits' : 'probabilities', scores);
  const scorer = inceptionScorer(scores.rows, options);
  scorer.add(scores);
  return scorer.score();
}

/** E Σ p ln p and p(y) of one split, as far as its samples have come. */
interface Split {
  readonly end: number;
  readonly n: number;
  certainty: number;
  marginal: Float64Array;
}

/**
 * The same score of `count` samples that come in parts: it keeps one p(y) for each split, and no sample.
 * @throws RangeError as {@link inceptionScore}, and on more samples than `count` or of another classifier.
 */
export function inceptionScorer(count: number, { splits = 1 }: InceptionScoreOptions = {}): InceptionScorer {
  checkInteger('the number of samples', count, 1);
  checkInteger('splits', splits, 1, count);
  const start = (split: number) => Math.floor((split * count) / splits);
  const parts: Split[] = Array.from({ length: splits }, (_, split) => ({
    ...{ end: start(split + 1), n: start(split + 1) - start(split) },
    ...{ certainty: 0, marginal: new Float64Array(0) },
  }));
  let [done, at] = [0, 0];
  let of: { readonly classifier: string; readonly columns: number } | undefined;
  return {
    add(scores) {
      const { classifier, columns, rows } = scores;
      checkMatrix(scores.logits ? 'logits' : 'probabilities', scores);
      if (!classifier) throw new RangeError('the class probabilities have no classifier; say whose they are.');
      of ??= { classifier, columns };
      if (of.classifier !== classifier || of.columns !== columns)
        throw new RangeError(
          `the samples before were scored by ${of.classifier} in ${of.columns} classes, these by ${classifier} in ${columns}; one score is of one classifier.`,
        );
      if (done + rows > count) throw new RangeError(`${done + rows} samples came; ${count} were to come.`);
      const logs = new Float64Array(columns);
      for (let i = 0; i < rows; i++, done++) {
        if (done === (parts[at] as Split).end) at++;
        logProbabilities(scores, i, logs);
        addTo(parts[at] as Split, logs);
      }
    },
    score() {
      if (!of || done < count) throw new RangeError(`${done} of ${count} samples have come; a score is of all.`);
      const scores = parts.map(({ certainty, marginal }) =>
        Math.exp(certainty - marginal.reduce((sum, p) => (p > 0 ? sum + p * Math.log(p) : sum), 0)),
      );
      const mean = average(scores);
      const std = Math.sqrt(average(scores.map((score) => (score - mean) ** 2)));
      return { mean, std, splits, classifier: of.classifier };
    },
  };
}

function addTo(split: Split, logs: Float64Array): void {
  if (split.marginal.length === 0) split.marginal = new Float64Array(logs.length);
  for (let y = 0; y < logs.length; y++) {
    const log = logs[y] as number;
    const p = Math.exp(log);
    if (p > 0) split.certainty += (p * log) / split.n;
    split.marginal[y] = (split.marginal[y] as number) + p / split.n;
  }
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
