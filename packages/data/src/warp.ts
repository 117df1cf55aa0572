/** (x, y) → (a x + b y + e, c x + d y + f), as [a, b, c, d, e, f]. */
export type Map2 = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

export const identity: Map2 = [1, 0, 0, 1, 0, 0];

export const scaling = (x: number, y: number): Map2 => [x, 0, 0, y, 0, 0];

/** By an angle in radians, from the first axis towards the second. */
export const turn = (angle: number): Map2 => [
  Math.cos(angle),
  -Math.sin(angle),
  Math.sin(angle),
  Math.cos(angle),
  0,
  0,
];

/** First one map, then the other. */
export function chain([a, b, c, d, e, f]: Map2, [p, q, r, s, t, u]: Map2): Map2 {
  return [p * a + q * c, p * b + q * d, r * a + s * c, r * b + s * d, p * e + q * f + t, r * e + s * f + u];
}

function inverse([a, b, c, d, e, f]: Map2): Map2 {
  const det = a * d - b * c;
  const [p, q, r, s] = [d / det, -b / det, -c / det, a / det];
  return [p, q, r, s, -(p * e + q * f), -(r * e + s * f)];
}

/**
 * Moves the pixels of an image (NHWC without N) as `map` says, in coordinates from its centre: bilinear interpolation
 * of `from`, which goes on beyond its edges by reflection (… c b a | a b c | c b a …).
 */
export function warp(
  from: Float32Array,
  to: Float32Array,
  { height, width, channels, map }: { height: number; width: number; channels: number; map: Map2 },
): void {
  const [a, b, c, d, e, f] = inverse(map);
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const sx = a * (x - cx) + b * (y - cy) + e + cx;
      const sy = c * (x - cx) + d * (y - cy) + f + cy;
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)];
      const [wx, wy] = [sx - x0, sy - y0];
      const [left, right] = [reflected(x0, width), reflected(x0 + 1, width)];
      const [top, bottom] = [reflected(y0, height) * width, reflected(y0 + 1, height) * width];
      for (let channel = 0; channel < channels; channel++) {
        const at = (pixel: number) => from[pixel * channels + channel] as number;
        const upper = (1 - wx) * at(top + left) + wx * at(top + right);
        const lower = (1 - wx) * at(bottom + left) + wx * at(bottom + right);
        to[(y * width + x) * channels + channel] = (1 - wy) * upper + wy * lower;
      }
    }
}

/** The pixel that an index beyond the edges is a mirror image of. */
function reflected(index: number, size: number): number {
  const place = ((index % (2 * size)) + 2 * size) % (2 * size);
  return place < size ? place : 2 * size - 1 - place;
}
