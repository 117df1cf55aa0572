import { checkInteger } from '@logsnr/core';
import { max } from 'd3-array';
import { blank, type RgbImage } from './canvas.js';
import { colorMap } from './color-map.js';

export interface DensityPanel {
  title: string;
  /** Values ≥ 0 at the centres of cells: `height` rows of `width`, the first row at the lowest y. */
  density: ArrayLike<number> | readonly (readonly number[])[];
  width: number;
  height: number;
  /** The coordinates of the left and right, and of the lower and upper, edges; default [0, width] and [0, height]. */
  x?: readonly [number, number];
  y?: readonly [number, number];
  /** Samples, in those coordinates. */
  points?: readonly (readonly [x: number, y: number])[];
}

/** The largest value of a panel; 1 if all are 0, so that it can be divided by. */
export const peakOf = (panel: DensityPanel): number => max(flat(panel)) || 1;

/** The panel's values as colours, its longer side `size` pixels; between centres of cells the values are interpolated. */
export function heatMap(panel: DensityPanel, size: number, peak: number): RgbImage {
  const { width: w, height: h } = panel;
  const values = flat(panel);
  const longer = Math.max(w, h);
  const image = blank(Math.max(1, Math.round((size * w) / longer)), Math.max(1, Math.round((size * h) / longer)));
  for (let row = 0; row < image.height; row++) {
    const [y, above, fy] = between(((image.height - row - 0.5) * h) / image.height, h);
    for (let column = 0; column < image.width; column++) {
      const [x, right, fx] = between(((column + 0.5) * w) / image.width, w);
      const at = (j: number, i: number) => values[j * w + i] as number;
      const lower = at(y, x) * (1 - fx) + at(y, right) * fx;
      const upper = at(above, x) * (1 - fx) + at(above, right) * fx;
      image.data.set(colorMap((lower * (1 - fy) + upper * fy) / peak), (row * image.width + column) * 3);
    }
  }
  return image;
}

/** The cells on both sides of a position (in cells, centres at i + ½) and how far it is from the first to the second. */
function between(position: number, cells: number): [first: number, second: number, fraction: number] {
  const p = Math.min(Math.max(position - 0.5, 0), cells - 1);
  const first = Math.floor(p);
  return [first, Math.min(first + 1, cells - 1), p - first];
}

function flat({ density }: DensityPanel): number[] {
  return (Array.from(density as ArrayLike<unknown>) as (number | number[])[]).flat();
}

/** Throws a `RangeError` unless the panel's numbers can be drawn. */
export function checkPanel(panel: DensityPanel): void {
  const { title, width, height, x = [0, width], y = [0, height], points = [] } = panel;
  const what = `panel "${title}"`;
  checkInteger(`the width of ${what}`, width, 1);
  checkInteger(`the height of ${what}`, height, 1);
  const values = flat(panel);
  if (values.length !== width * height)
    throw new RangeError(`${what} has ${values.length} values; ${width} × ${height} cells need ${width * height}.`);
  const wrong = values.findIndex((value) => !(value >= 0 && Number.isFinite(value)));
  if (wrong >= 0)
    throw new RangeError(
      `${what} holds ${values[wrong]} in row ${Math.floor(wrong / width)}, column ${wrong % width}; densities are finite and not negative.`,
    );
  for (const [low, high] of [x, y])
    if (!(Number.isFinite(low) && Number.isFinite(high) && low < high))
      throw new RangeError(`${what} runs from ${low} to ${high}; edges are finite and the first is below the second.`);
  points.forEach((point, i) => {
    if (!point.every(Number.isFinite))
      throw new RangeError(`point ${i} of ${what} is (${point.join(', ')}); it must be finite.`);
  });
}
