import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { open as openPng } from '../../figures/test/open-png.js';
import { guidanceSweep, type Judge, type SweepRow, sweepMarkdown, sweepText } from './index.js';
import { sweepChart, sweepPicture } from './node.js';

/** Scores that say which images and labels were judged. */
const judge: Judge = {
  extract: () => Promise.reject(new Error('not asked for')),
  score: async (images, labels) => ({
    fid: (images as tf.Tensor4D).shape[0],
    is: Math.max(...(images as tf.Tensor4D).dataSync()),
    accuracy: labels.length / 10,
  }),
  accuracy: 1,
  reference: { mean: new Float64Array(1), covariance: new Float64Array(1) },
};
const draw = (w: number) => tf.fill([5, 2, 3, 1], w / 2);

test('each weight is drawn, clipped, judged and freed, in order', async () => {
  const before = tf.memory().numTensors;
  const heard: [number, number, number][] = [];
  const told: [number, number][] = [];
  const rows = await guidanceSweep({
    weights: [1, 0, 4],
    draw(w, onProgress) {
      onProgress(1, 2);
      return draw(w);
    },
    judge,
    labels: [0, 1, 2, 3, 4],
    onProgress: ({ w, fraction }) => told.push([w, fraction]),
    shown: 2,
    onRow: ({ w, is }, images) => void heard.push([w, is, images.shape[0]]),
  });
  expect(tf.memory().numTensors).toBe(before);
  expect(rows.map(({ w, fid, is, accuracy }) => [w, fid, is, accuracy])).toEqual([
    [1, 5, 0.5, 0.5],
    [0, 5, 0, 0.5],
    [4, 5, 1, 0.5],
  ]);
  expect(heard).toEqual([
    [1, 0.5, 5],
    [0, 0, 5],
    [4, 1, 5],
  ]);
  expect(told).toEqual([
    [1, 0.5 / 3],
    [0, 1.5 / 3],
    [4, 2.5 / 3],
  ]);
  const { shown } = rows[2] as SweepRow;
  expect([shown.shape, [...shown.data]]).toEqual([[2, 2, 3, 1], Array(12).fill(1)]);
});

test('what cannot be swept is refused before any drawing, and an error leaves no tensors', async () => {
  const never = () => {
    throw new Error('drawn');
  };
  const given = { draw: never, judge, labels: [0] };
  await expect(guidanceSweep({ ...given, weights: [] })).rejects.toThrow('the number of weights is 0');
  await expect(guidanceSweep({ ...given, weights: [0, Number.NaN] })).rejects.toThrow('weights[1] is NaN');
  await expect(guidanceSweep({ ...given, weights: [0], labels: [] })).rejects.toThrow('the number of labels is 0');
  await expect(guidanceSweep({ ...given, weights: [0], shown: 0 })).rejects.toThrow('shown is 0');
  const before = tf.memory().numTensors;
  const broken = { ...judge, score: () => Promise.reject(new Error('cannot judge')) };
  await expect(guidanceSweep({ weights: [0], draw, judge: broken, labels: [0] })).rejects.toThrow('cannot judge');
  expect(tf.memory().numTensors).toBe(before);
});

const rows = [
  { w: 0, fid: 11.0021, is: 8.5554, accuracy: 0.852 },
  { w: 0.5, fid: 108.068, is: 9.4281, accuracy: 1 },
];
const real = { fid: 8.796, is: 9.482, samples: 500 };

test('the tables', () => {
  expect(sweepText(rows, real).split('\n')).toEqual([
    '        w         FID        IS   read right',
    '     0.00      11.002     8.555       85.2 %',
    '     0.50     108.068     9.428      100.0 %',
    'real images     8.796     9.482   (500 of them)',
  ]);
  expect(sweepMarkdown(rows, real).split('\n')).toEqual([
    '| w | FID | IS | read right |',
    '| ---: | ---: | ---: | ---: |',
    '| 0 | 11.00 | 8.555 | 85.2 % |',
    '| 0.5 | 108.07 | 9.428 | 100.0 % |',
    '| 500 real images | 8.80 | 9.482 |  |',
  ]);
  expect(sweepText(rows).split('\n')).toHaveLength(3);
  expect(sweepMarkdown(rows).split('\n')).toHaveLength(4);
});

test('the pictures: a row of samples for each weight, and a chart', () => {
  const shown = (value: number): SweepRow['shown'] => ({
    data: new Float32Array(2 * 20 * 20).fill(value / 127.5 - 1),
    shape: [2, 20, 20, 1],
  });
  const png = sweepPicture(
    rows.map((row, i) => ({ ...row, seconds: 1, shown: shown(i === 0 ? 11 : 77) })),
    { scale: 1, columns: 2 },
  );
  const opened = openPng(png);
  const of = (value: number) => opened.where((rgb) => rgb.join() === [value, value, value].join());
  expect([of(11).length, of(77).length].every((count) => count >= 800)).toBe(true);
  expect(Math.max(...of(77).map(([, y]) => y))).toBeGreaterThan(Math.max(...of(11).map(([, y]) => y)));
  expect(sweepChart(rows, { real })).not.toEqual(sweepChart(rows));
});
