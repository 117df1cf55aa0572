import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import { encode } from 'fast-png';
import { checkImage, type RgbImage } from './canvas.js';
import { checkImages, type ImageNumbers, toByte } from './image-grid.js';

/** An RGB picture as the bytes of a PNG file, without loss. */
export function encodePng(image: RgbImage): Uint8Array {
  checkImage('the image', image);
  return encode({ ...image, channels: 3, depth: 8 });
}

/**
 * Each of some images as the bytes of a PNG file of its own: grey for one channel, else RGB. The values are those of `imageGrid`.
 * @throws RangeError as `imageGrid` does.
 */
export function imagePngs(images: Tensor4D | ImageNumbers): Uint8Array[] {
  const values = checkImages(images);
  const [count, height, width, channels] = images.shape;
  const size = height * width * channels;
  return Array.from({ length: count }, (_, n) => {
    const data = Uint8Array.from({ length: size }, (_, i) => toByte(values[n * size + i] as number));
    return encode({ data, height, width, channels, depth: 8 });
  });
}

/** Writes a file beside `path` and renames it, so that `path` never holds half a picture; makes the folder if need be. */
export async function writePng(path: string, png: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.part`;
  try {
    await writeFile(beside, png);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
