import { key } from '@logsnr/core';
import { expect, test } from 'vitest';
import { AUGMENT_LABELS, augment, type Change, flips } from './augment.js';
import type { BatchArrays } from './batch.js';
import { chain, identity, scaling, turn, warp } from './warp.js';

/** n images of 4 × 6, two channels: the pixel at (y, x) is 10 y + x, its second channel the negative. */
const batchOf = (n: number): BatchArrays => ({
  images: Float32Array.from({ length: n * 48 }, (_, i) => {
    const pixel = Math.floor((i % 48) / 2);
    return (10 * Math.floor(pixel / 6) + (pixel % 6)) * (i % 2 === 0 ? 1 : -1);
  }),
  labels: Int32Array.from({ length: n }, (_, i) => i),
  shape: [n, 4, 6, 2],
});
const first = ({ images }: Pick<BatchArrays, 'images'>, i: number) =>
  Array.from({ length: 24 }, (_, p) => images[i * 48 + 2 * p] as number);
const at = (y: number, x: number) => 10 * y + x;
const rows = (f: (y: number, x: number) => number) => Array.from({ length: 24 }, (_, p) => f(Math.floor(p / 6), p % 6));

test('half of the images are mirrored left and right, exactly, and the rest are as they were', () => {
  const batch = batchOf(2000);
  const flipped = flips(batch, key(1));
  let mirrored = 0;
  for (let i = 0; i < 2000; i++) {
    const pixels = first(flipped, i);
    const turned = pixels[0] === at(0, 5);
    expect(pixels).toEqual(rows((y, x) => at(y, turned ? 5 - x : x)));
    mirrored += turned ? 1 : 0;
  }
  expect(Math.abs(mirrored / 2000 - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / 2000));
  expect(flipped.labels).toEqual(batch.labels);
  // Image i depends on (key, i) alone.
  expect(flips(batchOf(3), key(1)).images).toEqual(flipped.images.slice(0, 144));
  expect(flips(batch, key(2)).images).not.toEqual(flipped.images);
});

test('each change is made as often as it should be, and told', () => {
  const n = 4000;
  const batch = batchOf(n);
  const { condition, images } = augment(batch, key(3));
  const told = (i: number) => Array.from(condition.subarray(i * AUGMENT_LABELS, (i + 1) * AUGMENT_LABELS));
  const share = (f: (c: number[]) => boolean) =>
    Array.from({ length: n }, (_, i) => f(told(i))).filter(Boolean).length / n;
  const expected: [(c: number[]) => boolean, number][] = [
    [(c) => c[0] === 1, 0.5],
    [(c) => c[1] === 1, 0.06],
    [(c) => c[2] !== 0, 0.12],
    [(c) => c[3] !== 0, 0.12],
    [(c) => c[5] !== 0, 0.12],
    [(c) => c[7] !== 0, 0.12],
  ];
  for (const [f, p] of expected) expect(Math.abs(share(f) - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));
  for (let i = 0; i < n; i++) {
    const c = told(i);
    if (c.every((value) => value === 0)) expect(first({ images }, i)).toEqual(first(batch, 0));
    // cos a − 1 and sin a are of one angle.
    expect(((c[3] as number) + 1) ** 2 + (c[4] as number) ** 2).toBeCloseTo(1, 5);
  }
});

test('what is told is what was done', () => {
  // A smooth picture, on which interpolation is exact: the value is the x coordinate from the centre, then the y
  // coordinate.
  const [h, w, n] = [33, 33, 60];
  const linear: BatchArrays = {
    images: Float32Array.from({ length: n * h * w * 2 }, (_, i) => {
      const pixel = Math.floor((i % (h * w * 2)) / 2);
      return i % 2 === 0 ? (pixel % w) - 16 : Math.floor(pixel / w) - 16;
    }),
    labels: new Int32Array(n),
    shape: [n, h, w, 2],
  };
  // The pixel at the centre's right neighbour (1, 0) shows where the inverse map takes (1, 0).
  const shown = (images: Float32Array, i: number, x: number, y: number) =>
    [0, 1].map((c) => images[((i * h + 16 + y) * w + 16 + x) * 2 + c] as number) as [number, number];
  const only = (changes: Change[]) => augment(linear, key(4), { probability: 1, changes });
  for (const changes of [['flipX'], ['flipY'], ['scale'], ['rotate'], ['stretch'], ['shift']] as Change[][]) {
    const { images, condition } = only(changes);
    for (let i = 0; i < n; i++) {
      const c = condition.subarray(i * 9, (i + 1) * 9);
      const [x, y] = shown(images, i, 2, 1);
      const scale = 2 ** (-0.2 * (c[2] as number));
      const [cos, sin] = [(c[3] as number) + 1, c[4] as number];
      let expected: [number, number] = [2, 1];
      if (changes[0] === 'flipX') expected = [c[0] ? -2 : 2, 1];
      if (changes[0] === 'flipY') expected = [2, c[1] ? -1 : 1];
      if (changes[0] === 'scale') expected = [2 * scale, scale];
      if (changes[0] === 'rotate') expected = [2 * cos + sin, -2 * sin + cos];
      if (changes[0] === 'stretch') {
        const size = Math.hypot(c[5] as number, c[6] as number);
        const [ux, uy] = [(c[5] as number) / size, (c[6] as number) / size];
        const [along, across] = [2 * ux + uy, -2 * uy + ux];
        // The condition is the same for −a₅ along −u, which shrinks what this stretches: either may have been done.
        const done = (a5: number): [number, number] => [along * 2 ** (-0.2 * a5), across * 2 ** (0.2 * a5)];
        const off = (a5: number) => Math.abs(Math.hypot(...done(a5)) - Math.hypot(x, y));
        const [a, b] = done(off(size) < off(-size) ? size : -size);
        expected = [a * ux - b * uy, a * uy + b * ux];
      }
      if (changes[0] === 'shift') expected = [2 - ((c[7] as number) * w) / 8, 1 - ((c[8] as number) * h) / 8];
      const inside = expected.every((value) => Math.abs(value) < 15);
      if (inside) expect([x, y]).toEqual(expected.map((value) => expect.closeTo(value, 3)));
    }
  }
  expect(() => augment(linear, key(1), { probability: 2 })).toThrow(/probability is 2/);
  expect(() => augment(linear, key(1), { changes: ['melt' as never] })).toThrow(/the change is "melt"/);
});

test('maps compose in order, and the image goes on by reflection', () => {
  const [a, b] = [chain(turn(Math.PI / 2), scaling(2, 1)), chain(scaling(2, 1), turn(Math.PI / 2))];
  // (1, 0) turned is (0, 1), which the scaling leaves; scaled first it is (2, 0), then (0, 2).
  expect([a[0], a[2]]).toEqual([expect.closeTo(0, 12), expect.closeTo(1, 12)]);
  expect([b[0], b[2]]).toEqual([expect.closeTo(0, 12), expect.closeTo(2, 12)]);
  const row = Float32Array.of(1, 2, 3);
  const moved = (shift: number) => {
    const to = new Float32Array(3);
    warp(row, to, { height: 1, width: 3, channels: 1, map: [...identity.slice(0, 4), shift, 0] as never });
    return [...to];
  };
  expect([moved(0), moved(1), moved(-2), moved(3), moved(0.5)]).toEqual([
    [1, 2, 3],
    [1, 1, 2],
    [3, 3, 2],
    [3, 2, 1],
    [1, 1.5, 2.5],
  ]);
});
