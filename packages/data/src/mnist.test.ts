import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseIdx } from './index.js';
import { mnist } from './node.js';

const idx = (magic: number, shape: number[], data: number[]): Uint8Array => {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic);
  shape.forEach((length, i) => {
    view.setUint32(4 + 4 * i, length);
  });
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
};

test('parseIdx reads shape and bytes', () => {
  const { shape, data } = parseIdx(idx(0x803, [2, 1, 3], [1, 2, 3, 4, 5, 6]), 3, 'digits');
  expect([shape, [...data]]).toEqual([
    [2, 1, 3],
    [1, 2, 3, 4, 5, 6],
  ]);
});

test('parseIdx names the file and the fault', () => {
  const good = idx(0x801, [3], [7, 8, 9]);
  expect(() => parseIdx(good.subarray(0, 10), 1, 'labels')).toThrow(
    'labels is cut short: its shape [3] needs 11 bytes, it has 10.',
  );
  expect(() => parseIdx(good.subarray(0, 3), 1, 'labels')).toThrow('labels is cut short: it has 3 bytes');
  expect(() => parseIdx(good.subarray(0, 6), 1, 'labels')).toThrow('its header ends after 6 of 8 bytes');
  expect(() => parseIdx(idx(0x801, [3], [7, 8, 9, 10]), 1, 'labels')).toThrow('labels has trailing bytes');
  expect(() => parseIdx(idx(0xd03, [1, 1, 1], [0]), 3, 'images')).toThrow('images begins with 0x00000d03');
  expect(() => parseIdx(good, 3, 'images')).toThrow('begins with 0x00000801; an IDX file of bytes in 3 dimensions');
  expect(() => parseIdx(Uint8Array.of(0x1f, 0x8b, 8, 0), 1, 'labels.gz')).toThrow('labels.gz is compressed with gzip');
  // A view into a larger buffer is read from where it starts.
  expect([...parseIdx(Uint8Array.of(9, 9, ...good).subarray(2), 1, 'labels').data]).toEqual([7, 8, 9]);
});

test('mnist is MNIST', async () => {
  const { train, test: held } = await mnist();
  expect([train.count, held.count]).toEqual([60_000, 10_000]);
  expect([train.height, train.width, train.channels, train.classes]).toEqual([28, 28, 1, 10]);
  expect(train.images).toHaveLength(60_000 * 784);
  const perClass = new Array<number>(10).fill(0);
  for (const label of train.labels) perClass[label] = (perClass[label] as number) + 1;
  // The published counts of the training digits, their first labels, and the mean grey 0.1307 of 1 that everyone uses.
  expect(perClass).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  expect([...train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
  expect([...held.labels.subarray(0, 5)]).toEqual([7, 2, 1, 0, 4]);
  let sum = 0;
  for (const byte of train.images) sum += byte;
  expect(sum / train.images.length / 255).toBeCloseTo(0.1307, 4);
});

test('mnist reads a folder of the same files and names the one at fault', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'logsnr-data-'));
  const put = (file: string, bytes: Uint8Array) => writeFile(join(directory, file), bytes);
  try {
    await put('train-images-idx3-ubyte', idx(0x803, [2, 1, 1], [5, 6]));
    await put('train-labels-idx1-ubyte', idx(0x801, [2], [1, 9]));
    await put('t10k-images-idx3-ubyte', idx(0x803, [1, 1, 1], [4]));
    await expect(mnist({ directory })).rejects.toThrow(/t10k-labels-idx1-ubyte/);
    await put('t10k-labels-idx1-ubyte', idx(0x801, [1], [0]));
    expect([...(await mnist({ directory })).train.images]).toEqual([5, 6]);
    await put('t10k-labels-idx1-ubyte', idx(0x801, [1], [10]));
    await expect(mnist({ directory })).rejects.toThrow(/t10k-labels-idx1-ubyte has label 10 at position 0/);
    await put('t10k-labels-idx1-ubyte', idx(0x801, [2], [0, 0]));
    await expect(mnist({ directory })).rejects.toThrow(/t10k-labels-idx1-ubyte has 2 labels for the 1 images/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
