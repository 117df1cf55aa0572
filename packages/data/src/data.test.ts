import { readFileSync } from 'node:fs';
import { fold, key } from '@logsnr/core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { batch, type ImageSet, padTo, shuffledIndices, subset, toUnit } from './index.js';

// Four images of 1 × 2, one channel; the bytes say which image and which pixel.
const set: ImageSet = {
  images: Uint8Array.of(0, 1, 10, 11, 20, 21, 30, 255),
  labels: Uint8Array.of(3, 1, 3, 0),
  count: 4,
  height: 1,
  width: 2,
  channels: 1,
  classes: 4,
};

test('toUnit takes 0 … 255 onto [−1, 1]', () => {
  const unit = toUnit(Uint8Array.of(0, 51, 255));
  expect([unit[0], unit[2]]).toEqual([-1, 1]);
  expect(unit[1]).toBeCloseTo(-0.6, 6);
});

test('batch gathers images and labels in the order asked for', () => {
  const { images, labels } = batch(set, [3, 0, 3]);
  expect(images.shape).toEqual([3, 1, 2, 1]);
  expect([images.dtype, labels.dtype]).toEqual(['float32', 'int32']);
  const bytes = [...images.dataSync()].map((x) => Math.round((x + 1) * 127.5));
  expect(bytes).toEqual([30, 255, 0, 1, 30, 255]);
  expect([...labels.dataSync()]).toEqual([0, 3, 0]);
  expectNoLeak(() => batch(set, [1]));
});

test('batch refuses positions that are not in the set', () => {
  expect(() => batch(set, [0, 4])).toThrow('index 4 at position 1 is out of range; it must be an integer in [0, 3].');
  expect(() => batch(set, [-1])).toThrow(/index -1/);
  expect(() => batch(set, [0.5])).toThrow(/index 0.5/);
  expect(() => batch(set, [])).toThrow(/indices is empty/);
});

test('subset takes the first, a list, or those that a predicate picks', () => {
  expect([...subset(set, 2).images]).toEqual([0, 1, 10, 11]);
  expect(subset(set, 2).count).toBe(2);
  const threes = subset(set, (label) => label === 3);
  expect([threes.count, [...threes.images], [...threes.labels]]).toEqual([2, [0, 1, 20, 21], [3, 3]]);
  expect([...subset(set, [3, 1]).images]).toEqual([30, 255, 10, 11]);
  expect(() => subset(set, 5)).toThrow('count is 5; the set has 4 images.');
  expect(() => subset(set, () => false)).toThrow(/empty/);
  expect(() => subset(set, [9])).toThrow(/index 9/);
});

test('padTo centres each image in black', () => {
  const padded = padTo(set, 3, 4);
  expect([padded.height, padded.width, padded.images.length]).toEqual([3, 4, 48]);
  expect([...padded.images.subarray(12, 24)]).toEqual([0, 0, 0, 0, 0, 10, 11, 0, 0, 0, 0, 0]);
  expect(() => padTo(set, 1, 1)).toThrow('width is 1; it must be an integer of at least 2.');
});

test('each epoch holds each position once, in an order of its own, whatever the batch size', () => {
  for (const batchSize of [1, 4, 7, 25]) {
    const read = Array.from({ length: Math.ceil(30 / batchSize) }, (_, step) => [
      ...shuffledIndices(key(1), 10, step, batchSize),
    ]);
    expect(read.every((indices) => indices.length === batchSize)).toBe(true);
    const epochs = [0, 10, 20].map((start) => read.flat().slice(start, start + 10));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
    expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(3);
    expect(epochs.flat()).toEqual([0, 1, 2].flatMap((step) => [...shuffledIndices(key(1), 10, step, 10)]));
  }
});

test('the batch of a step depends on the key and the step, not on what was asked before', () => {
  const fifth = [...shuffledIndices(key(1), 100, 5, 32)];
  for (const step of [0, 9, 4, 2000]) shuffledIndices(fold(key(1), step), 100 + step, step, 32);
  expect([...shuffledIndices(key(1), 100, 5, 32)]).toEqual(fifth);
  expect([...shuffledIndices(key(2), 100, 5, 32)]).not.toEqual(fifth);
  // A result belongs to its caller: writing into it must not reach later ones.
  shuffledIndices(key(1), 100, 5, 32).fill(0);
  expect([...shuffledIndices(key(1), 100, 5, 32)]).toEqual(fifth);
  expect(() => shuffledIndices(key(1), 0, 0, 1)).toThrow(/count is 0/);
  expect(() => shuffledIndices(key(1), 10, -1, 1)).toThrow(/step is -1/);
  expect(() => shuffledIndices(key(1), 10, 0, 0)).toThrow(/batchSize is 0/);
});

test('nothing that the main entry reaches imports Node', () => {
  const reached = new Set(['./index.js']);
  for (const file of reached) {
    const source = readFileSync(new URL(file.replace(/js$/, 'ts'), import.meta.url), 'utf8');
    expect([file, source.match(/['"]node:/)]).toEqual([file, null]);
    for (const [, next] of source.matchAll(/from '(\.[^']+)'/g)) reached.add(next as string);
  }
  expect(reached.size).toBeGreaterThan(5);
});
