import { type Tensor1D, type Tensor4D, tensor1d, tensor4d } from '@tensorflow/tfjs-core';
import { checkIndices, type ImageSet } from './image-set.js';

/** Bytes 0 … 255 as floats in [−1, 1]: byte / 127.5 − 1. */
export function toUnit(bytes: ArrayLike<number>): Float32Array {
  const unit = new Float32Array(bytes.length);
  for (let i = 0; i < unit.length; i++) unit[i] = (bytes[i] as number) / 127.5 - 1;
  return unit;
}

/**
 * The images at `indices`: float32 [n, height, width, channels] in [−1, 1], and their labels, int32 [n]. The caller owns
 * both tensors.
 * @throws RangeError if `indices` is empty or holds anything but a position in the set.
 */
export function batch(set: ImageSet, indices: ArrayLike<number>): { images: Tensor4D; labels: Tensor1D } {
  if (indices.length === 0) throw new RangeError('indices is empty; a batch has at least one image.');
  checkIndices(indices, set.count);
  const size = set.height * set.width * set.channels;
  const images = new Float32Array(indices.length * size);
  const labels = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    images.set(toUnit(set.images.subarray(index * size, (index + 1) * size)), i * size);
    labels[i] = set.labels[index] as number;
  }
  return {
    images: tensor4d(images, [indices.length, set.height, set.width, set.channels], 'float32'),
    labels: tensor1d(labels, 'int32'),
  };
}
