import { checkInteger } from '@logsnr/core';
import type { ImageSet } from '@logsnr/data';

/** Takes a batch. */
export type Give<T> = (batch: T) => Promise<void>;

/** Images that are judged, one batch after another. */
export interface ImageSource {
  /** The data's name, such as `CIFAR-10`, and its part, such as `test_batch:4000`. */
  readonly data: string;
  readonly split: string | null;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /**
   * Gives the images from number `first` on, in their order, at most `size` at once, NHWC: bytes, or floats in [−1, 1]. It waits
   * until each batch is taken, after which the batch is its own again. An image must not depend on `first`, so that what was stopped can go on.
   */
  read(first: number, size: number, give: Give<ArrayLike<number>>): Promise<void>;
  /** False for samples that are drawn as they are asked for. Others are read through once before any work. */
  readonly stored: boolean;
}

/** Images held as bytes, as a source. */
export const sourceOf = (set: ImageSet, data: string, split: string | null = null): ImageSource => ({
  ...{ data, split, stored: true },
  ...{ count: set.count, height: set.height, width: set.width, channels: set.channels },
  read: (first, size, give) => inBatches(set, first, size, give),
});

/** Gives images held as bytes from number `first` on, `size` at once. */
export async function inBatches(
  { images, count, height, width, channels }: Omit<ImageSet, 'labels' | 'classes'>,
  first: number,
  size: number,
  give: Give<Uint8Array>,
): Promise<void> {
  const each = height * width * channels;
  for (let at = first; at < count; at += size)
    await give(images.subarray(at * each, Math.min(count, at + size) * each));
}

/**
 * Gives the images of a source as bytes, `size` at once but for the last ones. Floats are rounded to what a file of 8 bits
 * would hold: (x + 1) 127.5, halves up.
 * @throws RangeError on a float that is no number or outside of [−1, 1], and where the source gives more or fewer images than it says.
 */
export async function readBytes(
  source: ImageSource,
  first: number,
  size: number,
  give: Give<Uint8Array>,
): Promise<void> {
  checkInteger('the number of images at once', size, 1);
  const { count, height, width, channels } = source;
  const each = height * width * channels;
  let at = first;
  /** Images of a batch that is not full yet. */
  let waiting = new Uint8Array(0);
  await source.read(first, size, async (given) => {
    const images = given.length / each;
    if (!Number.isInteger(images) || images < 1 || images > size || at + images > count)
      throw new RangeError(
        `${nameOf(source)} gave ${given.length} values after ${at} images; a batch has up to ${size} images of ${height}×${width}×${channels}, ${count} in all.`,
      );
    const bytes = given instanceof Uint8Array ? given : bytesOf(given, at * each, source);
    const all = waiting.length > 0 ? new Uint8Array(Buffer.concat([waiting, bytes])) : bytes;
    at += images;
    let taken = 0;
    for (; all.length - taken >= size * each; taken += size * each)
      await give(all.subarray(taken, taken + size * each));
    waiting = all.slice(taken);
  });
  if (at < count) throw new RangeError(`${nameOf(source)} ended after ${at} of ${count} images.`);
  if (waiting.length > 0) await give(waiting);
}

/** Rounding may lead a little beyond. */
const SLACK = 1e-4;

function bytesOf(values: ArrayLike<number>, before: number, source: ImageSource): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!(value >= -1 - SLACK && value <= 1 + SLACK)) {
      const image = Math.floor((before + i) / (source.height * source.width * source.channels));
      throw new RangeError(
        `image ${image} of ${nameOf(source)} has a pixel of ${value}; floats must be in [−1, 1]. Clip or scale them.`,
      );
    }
    bytes[i] = Math.round(Math.min(255, Math.max(0, (value + 1) * 127.5)));
  }
  return bytes;
}

/** How a source is called in messages. */
export const nameOf = ({ data, split }: Pick<ImageSource, 'data' | 'split'>): string =>
  split ? `${data} ${split}` : data;
