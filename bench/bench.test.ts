import { ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { type Variant, variantNames } from './cases.js';
import { countFlops } from './flops.js';
import { markdown, ms } from './markdown.js';
import { readOptions } from './options.js';
import { largestDifference, median, type Row, summary, withRatios } from './statistics.js';

const row = (change: Partial<Row>): Row => ({
  network: 'a',
  case: 'forward',
  variant: 'compiled',
  batch: 16,
  ...summary([30, 10, 20]),
  ratioToTorch: null,
  ratioToBest: null,
  bestRival: null,
  firstMs: 100,
  peakMiB: 512,
  ...change,
});

test('the median of an odd and of an even number of runs, and the ends', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow('no values');
  expect(summary([30, 10, 21])).toEqual({ medianMs: 21, minMs: 10, maxMs: 30, runs: 3 });
});

test('ratios are taken within the same network, case and batch', () => {
  const rows = withRatios([
    row({}),
    row({ variant: 'torch', medianMs: 40 }),
    row({ batch: 1 }),
    row({ case: 'train' }),
    row({ network: 'b', variant: 'torch', medianMs: 5 }),
  ]);
  expect(rows.map(({ ratioToTorch }) => ratioToTorch)).toEqual([0.5, 1, null, null, 1]);
});

test('float32 is held to the fastest rival of float32, bfloat16 to the fastest of all', () => {
  const ratios = (times: Partial<Record<Variant, number>>) =>
    withRatios(Object.entries(times).map(([variant, medianMs]) => row({ variant: variant as Variant, medianMs }))).map(
      ({ variant, ratioToBest, bestRival }) => [variant, ratioToBest, bestRival],
    );
  expect(
    ratios({ compiled: 20, 'compiled-bf16': 10, eager: 80, torch: 40, 'torch-last': 32, 'torch-bf16': 16 }),
  ).toEqual([
    ['compiled', 20 / 32, 'torch-last'],
    ['compiled-bf16', 10 / 16, 'torch-bf16'],
    ['eager', 80 / 32, 'torch-last'],
    ['torch', 40 / 32, 'torch-last'],
    ['torch-last', 1, 'torch-last'],
    ['torch-bf16', 1, 'torch-bf16'],
  ]);
  expect(ratios({ compiled: 20, 'compiled-bf16': 10, onnx: 5, 'torch-compile-bf16': 8 })).toEqual([
    ['compiled', 4, 'onnx'],
    ['compiled-bf16', 2, 'onnx'],
    ['onnx', 1, 'onnx'],
    ['torch-compile-bf16', 1.6, 'onnx'],
  ]);
  expect(ratios({ compiled: 20, eager: 10, 'torch-compile-bf16': 8 }).slice(0, 2)).toEqual([
    ['compiled', null, null],
    ['eager', null, null],
  ]);
  const apart = withRatios([
    row({}),
    row({ case: 'train', variant: 'torch', medianMs: 1 }),
    row({ batch: 1, variant: 'torch', medianMs: 1 }),
    row({ network: 'b', variant: 'torch', medianMs: 1 }),
  ]);
  expect(apart[0]?.ratioToBest).toBe(null);
});

test('a row keeps what was measured beside the ratios', () => {
  const given = row({ case: 'sample', outsideGraph: 0.01, shareOfPeak: 1.2, steps: 10 });
  expect(withRatios([given])).toEqual([given]);
  const [own] = withRatios([given, row({ case: 'sample', variant: 'torch', medianMs: 40 })]);
  expect(JSON.parse(JSON.stringify(own))).toEqual({
    ...given,
    ratioToTorch: 0.5,
    ratioToBest: 0.5,
    bestRival: 'torch',
  });
});

test('operations are those of direct convolutions and products, by whichever kernel, forward and backward', async () => {
  const [x, kernel] = [tf.ones<tf.Rank.R4>([1, 8, 12, 16]), tf.ones<tf.Rank.R4>([3, 3, 16, 32])];
  const image = 2 * (8 * 12 * 32) * (9 * 16);
  const back = tf.grads((x: tf.Tensor, kernel: tf.Tensor) => ops.conv2d(x as tf.Tensor4D, kernel as tf.Tensor4D));
  expect(await countFlops(() => ops.conv2d(x, kernel))).toBe(image);
  expect(await countFlops(() => ops.conv2d(x, kernel, { gradients: 'kernels' }))).toBe(image);
  expect(await countFlops(() => back([x, kernel]))).toBe(3 * image);
  expect(await countFlops(() => tf.matMul(tf.ones([4, 6]), tf.ones([10, 6]), false, true))).toBe(2 * 4 * 6 * 10);
  const [rows, weight] = [tf.ones([5, 16]), tf.ones<tf.Rank.R2>([16, 48])];
  const map = tf.grads((rows: tf.Tensor, weight: tf.Tensor) => ops.linear(rows, weight as tf.Tensor2D));
  expect(await countFlops(() => map([rows, weight]))).toBe(3 * 2 * 5 * 16 * 48);
});

test('a difference counts what is missing and what is no number', () => {
  expect(largestDifference([1, 2], [1.5, 1.75])).toBe(0.5);
  expect(largestDifference([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
  expect(largestDifference([Number.NaN, 1], [1, 1])).toBe(Number.POSITIVE_INFINITY);
});

test('the table names the command and shows medians, the ratio to the fastest rival and its name, and spread', () => {
  const rows = withRatios([
    row({ shareOfPeak: 1.25 }),
    row({ variant: 'torch', medianMs: 40 }),
    row({ variant: 'torch-last', medianMs: 25 }),
    row({ batch: 64 }),
    row({ case: 'sample', steps: 10 }),
  ]);
  const text = markdown(rows, { command: 'pnpm bench', facts: ['2 cores'], notes: ['a note'] });
  expect(text).toContain('`pnpm bench`\n\n- 2 cores\n');
  expect(text).toContain('| network | compiled | torch | torch-last |');
  expect(text).toContain('| a, batch 16 | 20.0 **0.80** torch-last | 40.0 | 25.0 |');
  expect(text).toContain('| a, batch 64 | 20.0 | – | – |');
  expect(text).toContain('| a, batch 16, 10 steps | 20.0 |');
  expect(text).toContain(
    '| a | forward | 16 | compiled | 20.0 | 10.0 – 30.0 | 3 | 0.50 | **0.80** torch-last | 100 | 512 | 125.0 % |',
  );
  expect(text).toContain('| a | sample, 10 steps | 16 | compiled |');
  expect(text).toMatch(/- a note$/);
});

const read = (...args: string[]) =>
  readOptions(new Command('bench').exitOverride().configureOutput({ writeErr: () => undefined }), args);

test('options that do not fit are refused before any work', () => {
  expect(() => read('--variant', 'compiled,torch-last')).toThrow(/torch-last needs a Python with PyTorch.*--torch/);
  expect(() => read('--variant', 'fast')).toThrow(/variant is "fast"; it must be of eager, compiled/);
  expect(() => read('--net', '8x8')).toThrow(/net is "8x8"; it must be of 28x28-w16/);
  expect(() => read('--case', '')).toThrow(/case is ""/);
  expect(() => read('--batch', '16,x')).toThrow(/batch is "x"; it must be an integer of at least 1/);
  expect(() => read('--rounds', '2.5')).toThrow(/rounds is "2.5"/);
  expect(() => read('--limit', '0')).toThrow(/limit is "0"/);
  expect(() => read('--json', '/no/such/folder/rows.json')).toThrow(/no file in a folder that is there/);
  expect(() => read('--json', '.')).toThrow(/no file in a folder that is there/);
});

test('every rival races unless told otherwise, where there is a Python for them; few when quick', () => {
  expect(read().variant).toEqual(['eager', 'compiled', 'compiled-bf16']);
  expect(read('--torch', 'python').variant).toEqual(variantNames.filter((name) => name !== 'wasm'));
  expect(read('--torch', 'python', '--quick').variant).toEqual([...read().variant, 'torch', 'torch-bf16']);
  expect(read('--case', 'train,train').case).toEqual(['train']);
});

test('times have three digits that count', () => {
  expect([ms(1234.5), ms(99.96), ms(12.34), ms(1.239)]).toEqual(['1235', '100', '12.3', '1.24']);
});
