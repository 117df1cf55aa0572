import { type Tensor1D, type Tensor4D, tensor1d, tensor4d } from '@tensorflow/tfjs-core';
import { type ImageSet, subset } from './image-set.js';

/** Bytes 0 … 255 as floats in [−1, 1]: byte / 127.5 − 1. */
export function toUnit(bytes: ArrayLike<number>): Float32Array {
  const unit = new Float32Array(bytes.length);
  for (let i = 0; i < unit.length; i++) unit[i] = (bytes[i] as number) / 127.5 - 1;
  return unit;
}

/** A batch as plain arrays, which can be augmented, and sent from one thread to another. */
export interface BatchArrays {
  /** NHWC. */
  readonly images: Float32Array;
  readonly labels: Int32Array;
  readonly shape: readonly [count: number, height: number, width: number, channels: number];
}

/**
 * The images at `indices` in [−1, 1], and their labels, as arrays.
 * @throws RangeError if `indices` is empty or holds anything but a position in the set.
 */
export function batchArrays(set: ImageSet, indices: ArrayLike<number>): BatchArrays {
  if (indices.length === 0) throw new RangeError('indices is empty; a batch has at least one image.');
  const { images, labels, count, height, width, channels } = subset(set, indices);
  return { images: toUnit(images), labels: Int32Array.from(labels), shape: [count, height, width, channels] };
}

/** The tensors of a batch: float32 [n, height, width, channels] and int32 [n]. The caller owns both. */
export const batchTensors = ({ images, labels, shape }: BatchArrays): { images: Tensor4D; labels: Tensor1D } => ({
  images: tensor4d(images, [...shape], 'float32'),
  labels: tensor1d(labels, 'int32'),
});

/**
 * The images at `indices`: float32 [n, height, width, channels] in [−1, 1], and their labels, int32 [n]. The caller
 * owns both tensors.
 * @throws RangeError if `indices` is empty or holds anything but a position in the set.
 */
export const batch = (set: ImageSet, indices: ArrayLike<number>): { images: Tensor4D; labels: Tensor1D } =>
  batchTensors(batchArrays(set, indices));
