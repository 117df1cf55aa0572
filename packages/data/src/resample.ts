/** The pixels of an image: HWC. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** How a pixel of the result weighs those of the image, by their distance in pixels of the coarser of the two. */
export interface Filter {
  /** It is 0 beyond ±`support`. */
  readonly support: number;
  weight(x: number): number;
}

export const box: Filter = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/** Keys 1981 with a = −1/2, Catmull and Rom's spline. */
export const bicubic: Filter = {
  support: 2,
  weight(x) {
    const [a, d] = [-0.5, Math.abs(x)];
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  },
};

/** Lines of the result, of `size` in all, from number `from` on. */
export interface Lines {
  readonly size: number;
  readonly from: number;
  readonly count: number;
}

/**
 * Part of an image resized to `rows.size` × `columns.size`, byte for byte as Pillow's `Image.resize` has it: along the rows,
 * rounded to bytes, then along the columns, with weights of 22 binary digits. Where the result is smaller, the filter is as much
 * wider.
 */
export function resample(image: Pixels, filter: Filter, rows: Lines, columns: Lines): Pixels {
  const { height, width, channels } = image;
  const [down, across] = [weightsOf(height, filter, rows), weightsOf(width, filter, columns)];
  // Only these rows of the image are seen.
  const first = down.starts[0] as number;
  const seen = (down.starts[rows.count - 1] as number) + (down.counts[rows.count - 1] as number) - first;
  const row = columns.count * channels;
  const wide = new Uint8Array(seen * row);
  for (let y = 0; y < seen; y++)
    for (let x = 0; x < columns.count; x++) {
      const start = ((first + y) * width + (across.starts[x] as number)) * channels;
      mix(image.data, wide, start, channels, across, x, y * row + x * channels, channels);
    }
  const data = new Uint8Array(rows.count * row);
  for (let y = 0; y < rows.count; y++)
    mix(wide, data, ((down.starts[y] as number) - first) * row, row, down, y, y * row, row);
  return { data, height: rows.count, width: columns.count, channels };
}

const DIGITS = 22;
const HALF = 2 ** (DIGITS - 1);

/** For each line of the result: where the lines that it weighs begin, how many there are, and their weights, `most` places each. */
interface Weights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly most: number;
}

function weightsOf(size: number, { support, weight }: Filter, lines: Lines): Weights {
  const scale = size / lines.size;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const [starts, counts] = [new Int32Array(lines.count), new Int32Array(lines.count)];
  const weights = new Int32Array(lines.count * most);
  for (let i = 0; i < lines.count; i++) {
    const centre = (lines.from + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(size, Math.trunc(centre + reach + 0.5)) - start;
    const values = Array.from({ length: count }, (_, k) => weight((k + start - centre + 0.5) * (1 / stretch)));
    const sum = values.reduce((a, b) => a + b, 0);
    [starts[i], counts[i]] = [start, count];
    values.forEach((value, k) => {
      const scaled = (value / sum) * 2 ** DIGITS;
      weights[i * most + k] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
  }
  return { starts, counts, weights, most };
}

/** Writes `width` neighbouring bytes of the result: each Σ weight · byte over lines that lie `stride` bytes apart. */
function mix(
  from: Uint8Array,
  to: Uint8Array,
  start: number,
  stride: number,
  { counts, weights, most }: Weights,
  line: number,
  at: number,
  width: number,
): void {
  const count = counts[line] as number;
  for (let c = 0; c < width; c++) {
    let sum = HALF;
    for (let k = 0, place = start + c; k < count; k++, place += stride)
      sum += (from[place] as number) * (weights[line * most + k] as number);
    to[at + c] = Math.max(0, Math.min(255, sum >> DIGITS));
  }
}
