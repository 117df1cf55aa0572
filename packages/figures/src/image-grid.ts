import { checkInteger, checkWithin } from '@logsnr/core';
import { Tensor, type Tensor4D } from '@tensorflow/tfjs-core';
import type { RgbImage } from './canvas.js';

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
  checkInteger('the number of images', count, 1);
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`the images have ${channels} channels; a grid takes 1 (grey) or 3 (RGB).`);
  const { columns = Math.ceil(Math.sqrt(count)), gap = 2, scale = 1, background = 255 } = options;
  checkInteger('columns', columns, 1);
  checkInteger('gap', gap);
  checkInteger('scale', scale, 1);
  checkWithin('background', background, 0, 255);
  const values = images instanceof Tensor ? images.dataSync() : images.data;
  const size = h * w * channels;
  if (values.length !== count * size)
    throw new RangeError(
      `data has ${values.length} values; the shape [${images.shape.join(', ')}] needs ${count * size}.`,
    );
  for (let i = 0; i < values.length; i++)
    if (Number.isNaN(values[i]))
      throw new RangeError(`image ${Math.floor(i / size)} holds a NaN; its values must be numbers.`);

  const width = columns * (w * scale + gap) - gap;
  const height = Math.ceil(count / columns) * (h * scale + gap) - gap;
  const data = new Uint8Array(width * height * 3).fill(background);
  for (let n = 0; n < count; n++) {
    const [left, top] = [(n % columns) * (w * scale + gap), Math.floor(n / columns) * (h * scale + gap)];
    for (let y = 0; y < h * scale; y++)
      for (let x = 0; x < w * scale; x++) {
        const source = n * size + (Math.floor(y / scale) * w + Math.floor(x / scale)) * channels;
        const target = ((top + y) * width + left + x) * 3;
        for (let c = 0; c < 3; c++) data[target + c] = toByte(values[source + (channels === 3 ? c : 0)] as number);
      }
  }
  return { data, width, height };
}

const toByte = (x: number): number => Math.round(127.5 * (Math.min(Math.max(x, -1), 1) + 1));
