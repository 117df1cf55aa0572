import { checkIndices, checkInteger, fold, type Key } from '@logsnr/core';
import { type BatchArrays, toUnit } from './batch.js';
import { type ImageSet, type Labels, labelsAt, subset } from './image-set.js';
import { shuffledIndices } from './order.js';
import { type Prefetched, prefetch } from './prefetch.js';

/** Labelled images of one size that are read as they are asked for: in memory, in a folder, in shards. */
export interface ImageDataset {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: number;
  /** What each class is called, by its label. */
  readonly classNames: readonly string[];
  /** [count] */
  readonly labels: Labels;
  /**
   * The images at `indices` as bytes, NHWC.
   * @throws RangeError on anything but a position in the dataset, and on an image that cannot be read.
   */
  read(indices: ArrayLike<number>): Promise<Uint8Array>;
  /** SHA-256, in hexadecimal digits, by which a run knows that its data are the same: keep it in the run's settings. */
  hash(): Promise<string>;
  /** Ends the threads that read, where there are some. */
  close(): Promise<void>;
}

/**
 * Images in memory as a dataset. Its hash is that of the images' bytes, then the labels as bytes of four, little-endian.
 * @param classNames the numbers 0, 1, … unless given.
 * @throws RangeError where there is not one name for each class.
 */
export function datasetOf(
  set: ImageSet,
  {
    classNames = Array.from({ length: set.classes }, (_, label) => `${label}`),
  }: { classNames?: readonly string[] } = {},
): ImageDataset {
  if (classNames.length !== set.classes)
    throw new RangeError(`there are ${classNames.length} names of classes; the set has ${set.classes} classes.`);
  const { count, height, width, channels, classes, labels } = set;
  return {
    ...{ count, height, width, channels, classes, classNames, labels },
    read: async (indices) => subset(set, indices).images,
    async hash() {
      const bytes = new Uint8Array(set.images.length + 4 * count);
      bytes.set(set.images);
      const view = new DataView(bytes.buffer, set.images.length);
      labels.forEach((label, i) => void view.setInt32(4 * i, label, true));
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    },
    close: async () => {},
  };
}

/**
 * The images at `indices` in [−1, 1], and their labels, as arrays.
 * @throws RangeError if `indices` is empty or holds anything but a position in the dataset, and on an image that cannot be read.
 */
export async function readBatch(dataset: ImageDataset, indices: ArrayLike<number>): Promise<BatchArrays> {
  if (indices.length === 0) throw new RangeError('indices is empty; a batch has at least one image.');
  const { count, height, width, channels } = dataset;
  checkIndices('index', indices, count);
  return {
    images: toUnit(await dataset.read(indices)),
    labels: Int32Array.from(labelsAt(dataset.labels, indices)),
    shape: [indices.length, height, width, channels],
  };
}

export interface ShuffledBatchesOptions<B> {
  readonly key: Key;
  readonly batchSize: number;
  /** What is done to the arrays of a batch, such as `flips` or `augment`. It gets a key of the step. */
  readonly change?: (batch: BatchArrays, key: Key) => B;
  /** How many batches are read before they are asked for. 2 unless given. */
  readonly ahead?: number;
}

/**
 * The batches of a training run: step t has the images at `shuffledIndices(key, count, t, batchSize)`, read before they are
 * wanted. A batch depends on (key, t) and the dataset alone, so a run that resumes goes on with those it would have had.
 * Call `stop` at the end.
 * @throws RangeError where no batch can be made of the options.
 */
export function shuffledBatches<B = BatchArrays>(
  dataset: ImageDataset,
  { key, batchSize, change = (batch) => batch as B, ahead = 2 }: ShuffledBatchesOptions<B>,
): Prefetched<B> {
  checkInteger('batchSize', batchSize, 1);
  return prefetch(
    async (step) => {
      const batch = await readBatch(dataset, shuffledIndices(key, dataset.count, step, batchSize));
      return change(batch, fold(key, 1, step));
    },
    { ahead },
  );
}
