import { expect, test } from 'vitest';
import { accuracy, type ClassScores, inceptionScore, inceptionScorer } from './index.js';

const matrix = (rows: number[][]): ClassScores => ({
  ...{ data: rows.flat(), rows: rows.length, columns: rows[0]?.length ?? 0 },
  classifier: 'by hand',
});
const oneHot = (classes: number, labels: number[]) =>
  matrix(labels.map((label) => Array.from({ length: classes }, (_, y) => (y === label ? 1 : 0))));

test('certain and balanced: the number of classes; certain of one class, or uncertain: 1', () => {
  expect(inceptionScore(oneHot(5, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0])).mean).toBeCloseTo(5, 12);
  expect(inceptionScore(oneHot(5, [3, 3, 3])).mean).toBe(1);
  expect(inceptionScore(matrix(Array<number[]>(4).fill([0.25, 0.25, 0.25, 0.25]))).mean).toBe(1);
});

test('a case by hand', () => {
  // p(y) = (0.5, 0.5); both KL are 0.9 ln 1.8 + 0.1 ln 0.2.
  const score = inceptionScore(
    matrix([
      [0.9, 0.1],
      [0.1, 0.9],
    ]),
  );
  expect(score.mean).toBeCloseTo(1.8 ** 0.9 * 0.2 ** 0.1, 12);
  expect(score.std).toBe(0);
  // Unbalanced and certain: exp of the entropy of the marginal (3/4, 1/4), whatever the order of p and q elsewhere.
  expect(inceptionScore(oneHot(2, [0, 0, 0, 1])).mean).toBeCloseTo(0.75 ** -0.75 * 0.25 ** -0.25, 12);
});

test('splits are consecutive, each with its own marginal', () => {
  // First half: one class, score 1. Second half: three classes, score 3. Mean 2, deviation 1.
  const score = inceptionScore(oneHot(4, [0, 0, 0, 1, 2, 3]), { splits: 2 });
  expect(score.mean).toBeCloseTo(2, 12);
  expect(score.std).toBeCloseTo(1, 12);
  // Sizes that do not divide: every sample is in one split.
  expect(inceptionScore(oneHot(2, [0, 0, 0, 1, 1]), { splits: 2 }).mean).toBeCloseTo((1 + 3 / 2 ** (2 / 3)) / 2, 12);
});

test('samples that come in parts have the score of all at once, wherever a split ends', () => {
  const rows = Array.from({ length: 23 }, (_, i) => [1 + Math.sin(i), 1 + Math.cos(3 * i), 1.5 + Math.sin(7 * i)]);
  const all = matrix(rows.map((row) => row.map((value) => value / row.reduce((a, b) => a + b))));
  const part = (from: number, to: number): ClassScores => ({
    ...all,
    ...{ data: Array.from(all.data).slice(3 * from, 3 * to), rows: to - from },
  });
  for (const splits of [1, 4, 23])
    for (const ends of [[23], [1, 2, 23], [5, 11, 17, 23], [22, 23]]) {
      const scorer = inceptionScorer(23, { splits });
      for (const [i, end] of ends.entries()) scorer.add(part(ends[i - 1] ?? 0, end));
      expect(scorer.score()).toEqual(inceptionScore(all, { splits }));
    }
  const scorer = inceptionScorer(23);
  expect(() => scorer.score()).toThrow('0 of 23 samples have come');
  scorer.add(part(0, 20));
  expect(() => scorer.score()).toThrow('20 of 23 samples have come');
  expect(() => scorer.add(part(0, 4))).toThrow('24 samples came; 23 were to come');
  expect(() => scorer.add({ ...part(20, 23), classifier: 'another' })).toThrow('these by another in 3');
  scorer.add(part(20, 23));
  expect(scorer.score()).toEqual(inceptionScore(all));
});

test('rows off by rounding are scaled to sum to 1', () => {
  const rows = [
    [0.9, 0.1],
    [0.1, 0.9],
  ].map((row) => row.map((value) => 1.0008 * value));
  expect(inceptionScore(matrix(rows)).mean).toBeCloseTo(1.8 ** 0.9 * 0.2 ** 0.1, 12);
});

test('logits give the score of their softmax, also where that underflows, and the result names the classifier', () => {
  const rows = [
    [3, 1, -2],
    [0, 0.5, 0],
    [-1, 2, 4],
  ];
  const softmax = rows.map((row) => {
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    return row.map((value) => Math.exp(value) / sum);
  });
  const logits = { ...matrix(rows), logits: true };
  expect(inceptionScore(logits).mean).toBeCloseTo(inceptionScore(matrix(softmax)).mean, 12);
  const far = {
    ...matrix([
      [900, 0, -900],
      [-900, 900, 0],
    ]),
    logits: true,
  };
  expect(inceptionScore(far)).toEqual({ mean: 2, std: 0, splits: 1, classifier: 'by hand' });
});

test('inceptionScore refuses what are no probabilities', () => {
  expect(() =>
    inceptionScore(
      matrix([
        [0.5, 0.5],
        [0.5, 0.4],
      ]),
    ),
  ).toThrow('row 1 sums to 0.9');
  expect(() => inceptionScore(matrix([[1.5, -0.5]]))).toThrow('row 0 holds -0.5 in column 1');
  expect(() => inceptionScore(matrix([[Number.NaN, 1]]))).toThrow('holds NaN at row 0, column 0');
  expect(() => inceptionScore(matrix([[1]]), { splits: 2 })).toThrow('splits is 2');
  expect(() => inceptionScore(matrix([[1]]), { splits: 0.5 })).toThrow('splits is 0.5');
  expect(() => inceptionScore({ ...matrix([[1]]), classifier: '' })).toThrow('have no classifier');
  expect(() => inceptionScore(matrix([]))).toThrow('probabilities is 0 × 0');
});

test('accuracy counts the rows whose largest score is at their label', () => {
  const scores = matrix([
    [0.1, 0.9, 0],
    [3, -1, 2],
    [-5, -4, -3],
    [1, 1, 0],
  ]);
  expect(accuracy(scores, [1, 0, 2, 0])).toBe(1);
  expect(accuracy(scores, Int32Array.of(1, 2, 2, 1))).toBe(0.5);
  expect(() => accuracy(scores, [1, 0, 2])).toThrow('3 labels for 4 rows');
  expect(() => accuracy(scores, [1, 0, 2, 3])).toThrow('label 3 at position 3');
  expect(() => accuracy(matrix([[Number.NaN, 1]]), [1])).toThrow(/NaN/);
});
