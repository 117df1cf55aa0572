import { checkIndices, checkInteger } from '@logsnr/core';

/** Numbers of classes, from 0. */
export type Labels = Uint8Array | Uint16Array | Int32Array;

/** Labelled images held as bytes: `images` is NHWC, [count, height, width, channels] in 0 … 255; `labels` is [count]. */
export interface ImageSet {
  readonly images: Uint8Array;
  readonly labels: Labels;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: number;
}

/** Which images to keep: the first so many, those at these positions, or those for which a function says yes. */
export type Selection = number | ArrayLike<number> | ((label: number, index: number) => boolean);

/**
 * The images of `set` that `which` selects, in that order. A number shares the bytes of `set`; otherwise they are copied.
 * @throws RangeError if more images are asked for than there are, or if none is left.
 */
export function subset(set: ImageSet, which: Selection): ImageSet {
  if (typeof which === 'number') return first(set, which);
  const indices =
    typeof which === 'function'
      ? Array.from({ length: set.count }, (_, i) => i).filter((i) => which(set.labels[i] as number, i))
      : which;
  if (indices.length === 0) throw new RangeError(`the subset is empty; none of the ${set.count} images is selected.`);
  checkIndices('index', indices, set.count);
  const size = set.height * set.width * set.channels;
  const images = new Uint8Array(indices.length * size);
  const labels = labelsAt(set.labels, indices);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    images.set(set.images.subarray(index * size, (index + 1) * size), i * size);
  }
  return { ...set, images, labels, count: indices.length };
}

/** The labels at these positions, in an array of the same kind. */
export function labelsAt(labels: Labels, indices: ArrayLike<number>): Labels {
  const some = labels.slice(0, 0);
  return (some.constructor as Int32ArrayConstructor).from(indices, (index) => labels[index] as number) as typeof some;
}

function first(set: ImageSet, count: number): ImageSet {
  checkInteger('count', count, 1);
  if (count > set.count) throw new RangeError(`count is ${count}; the set has ${set.count} images.`);
  const size = set.height * set.width * set.channels;
  return { ...set, images: set.images.subarray(0, count * size), labels: set.labels.subarray(0, count), count };
}

/** The same images centred in zeros (black), `height` × `width`; where a margin is odd, the far side gets the extra line. */
export function padTo(set: ImageSet, height: number, width = height): ImageSet {
  checkInteger('height', height, set.height);
  checkInteger('width', width, set.width);
  const [top, left] = [Math.floor((height - set.height) / 2), Math.floor((width - set.width) / 2)];
  const row = set.width * set.channels;
  const images = new Uint8Array(set.count * height * width * set.channels);
  for (let line = 0; line < set.count * set.height; line++) {
    const image = Math.floor(line / set.height);
    const target = ((image * height + top + (line % set.height)) * width + left) * set.channels;
    images.set(set.images.subarray(line * row, (line + 1) * row), target);
  }
  return { ...set, images, height, width };
}
