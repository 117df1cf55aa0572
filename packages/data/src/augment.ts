import { checkChoice, checkWithin, fold, type Key, normalNumbers, uniforms } from '@logsnr/core';
import type { BatchArrays } from './batch.js';
import { chain, identity, type Map2, scaling, turn, warp } from './warp.js';

/** How an image may be changed. */
export type Change = 'flipX' | 'flipY' | 'scale' | 'rotate' | 'stretch' | 'shift';

const CHANGES: readonly Change[] = ['flipX', 'flipY', 'scale', 'rotate', 'stretch', 'shift'];

export interface AugmentOptions {
  /** Probability of each change but the horizontal flip, which is 1/2. 0.12 unless given. */
  readonly probability?: number;
  /** Which changes may be made. All unless given. */
  readonly changes?: readonly Change[];
}

/** Numbers that say what was done to an image: zeros where nothing was. */
export const AUGMENT_LABELS = 9;

/**
 * The geometric augmentation of EDM with its condition (Karras et al. 2022, arXiv 2206.00364, appendix F.2, table 6). The
 * condition tells the network what was done to an image, so the network does not make changed images at sampling, where the
 * condition is zeros. The changes in their order, a_i ~ N(0, 1) unless said:
 *
 * | change   | what                                                   | condition            |
 * | -------- | ------------------------------------------------------ | -------------------- |
 * | flipX    | mirrored left and right, a₀ ∈ {0, 1}                   | a₀                   |
 * | flipY    | mirrored up and down, a₁ ∈ {0, 1}                      | a₁                   |
 * | scale    | by 2^{0.2 a₂}                                          | a₂                   |
 * | rotate   | by a₃ ~ U[−π, π)                                       | cos a₃ − 1, sin a₃   |
 * | stretch  | by 2^{0.2 a₅} along a₄ ~ U[−π, π), its inverse across  | a₅ cos a₄, a₅ sin a₄ |
 * | shift    | by a₆/8 of the width and a₇/8 of the height            | a₆, a₇               |
 *
 * As in the paper, a stretch by a₅ along a₄ and one by −a₅ along a₄ + π have the same condition. Image i depends on (k, i)
 * alone. Pixels are interpolated bilinearly, and the image goes on beyond its edges by reflection; the paper filters with
 * wavelets. An image that is only mirrored stays exact.
 * @returns new arrays: the images, and their conditions [n, 9].
 * @throws RangeError on a probability outside of [0, 1] or an unknown change.
 */
export function augment(
  batch: BatchArrays,
  k: Key,
  { probability = 0.12, changes = CHANGES }: AugmentOptions = {},
): BatchArrays & { readonly condition: Float32Array } {
  checkWithin('probability', probability, 0, 1);
  for (const change of changes) checkChoice('the change', change, CHANGES);
  const [count, height, width, channels] = batch.shape;
  const size = height * width * channels;
  const images = new Float32Array(batch.images.length);
  const condition = new Float32Array(count * AUGMENT_LABELS);
  for (let i = 0; i < count; i++) {
    const { map, told } = drawn(fold(k, i), { width, height }, probability, new Set(changes));
    condition.set(told, i * AUGMENT_LABELS);
    warp(batch.images.subarray(i * size, (i + 1) * size), images.subarray(i * size, (i + 1) * size), {
      height,
      width,
      channels,
      map,
    });
  }
  return { ...batch, images, condition };
}

/** Mirrors each image left and right with probability 1/2; image i depends on (k, i) alone. */
export const flips = (batch: BatchArrays, k: Key): BatchArrays => {
  const { condition: _, ...rest } = augment(batch, k, { changes: ['flipX'] });
  return rest;
};

/** What is done to one image: where each of its points goes, in coordinates from the centre, and the condition. */
function drawn(
  k: Key,
  { width, height }: { width: number; height: number },
  probability: number,
  changes: Set<Change>,
) {
  const u = uniforms(fold(k, 0), 10);
  const n = normalNumbers({ words: fold(k, 1).words, counter: 0, samples: 1, blocks: 2 });
  const told = new Float32Array(AUGMENT_LABELS);
  let map: Map2 = identity;
  const add = (next: Map2, from: number, ...values: number[]) => {
    map = chain(map, next);
    told.set(values, from);
  };
  const does = (change: Change, draw: number) => changes.has(change) && (u[draw] as number) < probability;
  const angleOf = (draw: number) => Math.PI * (2 * (u[draw] as number) - 1);
  const [a2, a5, a6, a7] = [n[0], n[1], n[2], n[3]] as [number, number, number, number];
  if (changes.has('flipX') && (u[0] as number) < 0.5) add(scaling(-1, 1), 0, 1);
  if (does('flipY', 1) && (u[2] as number) < 0.5) add(scaling(1, -1), 1, 1);
  if (does('scale', 3)) add(scaling(2 ** (0.2 * a2), 2 ** (0.2 * a2)), 2, a2);
  if (does('rotate', 4)) {
    const a3 = angleOf(5);
    add(turn(a3), 3, Math.cos(a3) - 1, Math.sin(a3));
  }
  if (does('stretch', 6)) {
    const a4 = angleOf(7);
    const stretch = chain(chain(turn(-a4), scaling(2 ** (0.2 * a5), 2 ** (-0.2 * a5))), turn(a4));
    add(stretch, 5, a5 * Math.cos(a4), a5 * Math.sin(a4));
  }
  if (does('shift', 8)) add([1, 0, 0, 1, (a6 * width) / 8, (a7 * height) / 8], 7, a6, a7);
  return { map, told };
}
