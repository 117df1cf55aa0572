import { tensor4d } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { imageGrid } from './index.js';

test('imageGrid puts every pixel where it belongs and clamps', () => {
  const data = [-1, 1, -3, 3, 0, -1];
  const grid = imageGrid({ data, shape: [3, 1, 2, 1] }, { columns: 2, gap: 1, background: 7 });
  const grey = (bytes: Uint8Array) => [...bytes].filter((_, i) => i % 3 === 0);
  expect([grid.width, grid.height]).toEqual([5, 3]);
  expect(grey(grid.data)).toEqual([0, 255, 7, 0, 255, 7, 7, 7, 7, 7, 128, 0, 7, 7, 7]);
  const large = imageGrid({ data, shape: [3, 1, 2, 1] }, { columns: 3, gap: 0, scale: 2 });
  expect([large.width, large.height]).toEqual([12, 2]);
  expect(grey(large.data).slice(12)).toEqual([0, 0, 255, 255, 0, 0, 255, 255, 128, 128, 0, 0]);
});

test('imageGrid keeps colours and takes a tensor', () => {
  const pixels = tensor4d([1, -1, 0, -1, -1, 1], [2, 1, 1, 3]);
  expect([...imageGrid(pixels, { gap: 0 }).data]).toEqual([255, 0, 128, 0, 0, 255]);
  expectNoLeak(() => void imageGrid(pixels));
});

test('imageGrid refuses what it cannot draw', () => {
  expect(() => imageGrid({ data: [Number.NaN], shape: [1, 1, 1, 1] })).toThrow('image 0 holds a NaN');
  expect(() => imageGrid({ data: [], shape: [0, 1, 1, 1] })).toThrow(/number of images is 0/);
  expect(() => imageGrid({ data: [0, 0], shape: [1, 1, 1, 2] })).toThrow(/2 channels/);
  expect(() => imageGrid({ data: [0], shape: [1, 2, 1, 1] })).toThrow('data has 1 values');
  expect(() => imageGrid({ data: [0], shape: [1, 1, 1, 1] }, { scale: 0 })).toThrow(/scale is 0/);
});
