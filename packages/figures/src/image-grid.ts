import { checkInteger, checkWithin } from '@logsnr/core';
import { Tensor, type Tensor4D } from '@tensorflow/tfjs-core';
import { blank, place, type RgbImage } from './canvas.js';

/** Images as numbers in [−1, 1], laid out as `shape` = [count, height, width, channels] says. */
export interface ImageNumbers {
  readonly data: ArrayLike<number>;
  readonly shape: readonly [count: number, height: number, width: number, channels: number];
}

export interface GridOptions {
  /** Images a row; default ⌈√count⌉. */
  columns?: number;
  /** Pixels between images; default 2. */
  gap?: number;
  /** Each pixel of an image becomes `scale` × `scale` pixels; default 1. */
  scale?: number;
  /** Byte of grey in the gaps and in the empty places of the last row; default 255, white. */
  background?: number;
}

/**
 * Images side by side, row by row, as one picture of RGB bytes: round(127.5 (x + 1)), values beyond [−1, 1] clamped. One
 * channel is grey, three are RGB. Where a tensor's values cannot be read at once (WebGPU), pass {@link ImageNumbers}.
 * @throws RangeError on no images, another number of channels, a NaN, or sizes that are not integers.
 */
export function imageGrid(images: Tensor4D | ImageNumbers, options: GridOptions = {}): RgbImage {
  const [count, h, w, channels] = images.shape;
  const { columns = Math.ceil(Math.sqrt(count)), gap = 2, scale = 1, background = 255 } = options;
  const values = checkImages(images);
  checkInteger('columns', columns, 1);
  checkInteger('gap', gap);
  checkInteger('scale', scale, 1);
  checkWithin('background', background, 0, 255);
  const size = h * w * channels;

  const [across, down] = [w * scale + gap, h * scale + gap];
  const picture = blank(columns * across - gap, Math.ceil(count / columns) * down - gap, background);
  for (let n = 0; n < count; n++) {
    const image = blank(w, h);
    for (let i = 0; i < image.data.length; i++)
      image.data[i] = toByte(values[n * size + (channels === 3 ? i : Math.floor(i / 3))] as number);
    place(picture, image, (n % columns) * across, Math.floor(n / columns) * down, scale);
  }
  return picture;
}

/** The values of some images. @throws RangeError on no images, another number of channels, of values, or a NaN. */
export function checkImages(images: Tensor4D | ImageNumbers): ArrayLike<number> {
  const [count, h, w, channels] = images.shape;
  checkInteger('the number of images', count, 1);
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`the images have ${channels} channels; a picture has 1 (grey) or 3 (RGB).`);
  const values = images instanceof Tensor ? images.dataSync() : images.data;
  const size = h * w * channels;
  if (values.length !== count * size)
    throw new RangeError(
      `data has ${values.length} values; the shape [${images.shape.join(', ')}] needs ${count * size}.`,
    );
  for (let i = 0; i < values.length; i++)
    if (Number.isNaN(values[i]))
      throw new RangeError(`image ${Math.floor(i / size)} holds a NaN; its values must be numbers.`);
  return values;
}

/** A value in [−1, 1] as a byte; one beyond is clamped. */
export const toByte = (x: number): number => Math.round(127.5 * (Math.min(Math.max(x, -1), 1) + 1));
