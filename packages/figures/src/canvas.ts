import type { RgbaImage } from './text.js';

/** A picture of RGB bytes: `data[(y · width + x) · 3 + channel]`, y downwards. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A picture of one grey, white unless given. */
export function blank(width: number, height: number, grey = 255): RgbImage {
  return { data: new Uint8Array(width * height * 3).fill(grey), width, height };
}

/** Copies `image` into `canvas`, each of its pixels as a crisp square of `scale` × `scale`. */
export function place(canvas: RgbImage, image: RgbImage, left: number, top: number, scale: number): void {
  for (let y = 0; y < image.height * scale; y++)
    for (let x = 0; x < image.width * scale; x++) {
      const source = (Math.floor(y / scale) * image.width + Math.floor(x / scale)) * 3;
      canvas.data.set(image.data.subarray(source, source + 3), ((top + y) * canvas.width + left + x) * 3);
    }
}

/** Lays a picture of the same size over `canvas`. Its colours carry their opacity already (premultiplied). */
export function overlay(canvas: RgbImage, { data, width, height }: RgbaImage): void {
  if (width !== canvas.width || height !== canvas.height)
    throw new Error(
      `an overlay of ${width} × ${height} does not cover a picture of ${canvas.width} × ${canvas.height}.`,
    );
  for (let i = 0; i < width * height; i++) {
    const through = 1 - (data[4 * i + 3] as number) / 255;
    for (let c = 0; c < 3; c++)
      canvas.data[3 * i + c] = Math.min(
        255,
        Math.round((data[4 * i + c] as number) + through * (canvas.data[3 * i + c] as number)),
      );
  }
}

/** Throws a `RangeError` unless `image` has pixels and as many bytes as its size says. */
export function checkImage(what: string, { data, width, height }: RgbImage): void {
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1)
    throw new RangeError(`${what} is ${width} × ${height} pixels; it must have at least one.`);
  if (data.length !== width * height * 3)
    throw new RangeError(
      `${what} has ${data.length} bytes; ${width} × ${height} pixels of RGB need ${width * height * 3}.`,
    );
}
