import { decode } from 'fast-png';

export type Color = readonly [number, number, number];
export const MAGENTA: Color = [255, 0, 255];
export const GREEN: Color = [0, 255, 0];

/** The decoded picture, with questions that tests ask of it. */
export function open(png: Uint8Array) {
  const { width, height, channels, data } = decode(png);
  const at = (x: number, y: number) => [...data.slice((y * width + x) * channels, (y * width + x) * channels + 3)];
  const where = (wanted: (rgb: number[]) => boolean) => {
    const found: [x: number, y: number][] = [];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (wanted(at(x, y))) found.push([x, y]);
    return found;
  };
  const box = (color: Color) => {
    const points = where((rgb) => rgb.join() === color.join());
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    return {
      left: Math.min(...xs),
      right: Math.max(...xs),
      top: Math.min(...ys),
      bottom: Math.max(...ys),
      count: xs.length,
    };
  };
  return { width, height, channels, at, where, box };
}

export const dark = (rgb: number[]) => rgb.every((value) => value < 120);

export const picture = (width: number, ...pixels: Color[]) => ({
  data: Uint8Array.from(pixels.flat()),
  width,
  height: pixels.length / width,
});
