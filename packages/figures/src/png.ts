import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { encode } from 'fast-png';
import { checkImage, type RgbImage } from './canvas.js';

/** An RGB picture as the bytes of a PNG file, without loss. */
export function encodePng(image: RgbImage): Uint8Array {
  checkImage('the image', image);
  return encode({ ...image, channels: 3, depth: 8 });
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
