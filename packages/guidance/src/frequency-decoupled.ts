import { checkFinite } from '@logsnr/core';
import {
  add,
  matMul,
  mul,
  reshape,
  sub,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tensor2d,
  transpose,
} from '@tensorflow/tfjs-core';
import type { Rule } from './rule.js';

/**
 * Frequency-decoupled guidance (Sadat et al. 2025, arXiv 2506.19713): each level of a Laplacian pyramid is guided with a
 * weight of its own. The pyramid is linear, so ε̃ = ε_c + w Σ_l g_l L_l(ε_c − ε_∅), with L_l the band of level l; the
 * weights are w g_l. Equal gains are plain guidance with w g bit for bit.
 *
 * The bands are those of Burt & Adelson 1983: blurred with the binomial filter [1 4 6 4 1]/16, mirrored at the borders, and
 * halved; a level is what the next one, enlarged with the same filter, does not give back. For images [n, h, w, c] whose
 * height and width can be halved as often as there are levels beyond the first.
 * @param gains g of each level, from the finest (high frequencies) to the coarsest; the paper gives the high ones more.
 * @throws RangeError without gains, when one is not finite, and in use on a shape that does not fit.
 */
export function frequencyDecoupled(gains: readonly number[]): Rule {
  if (gains.length === 0) throw new RangeError('gains is empty; give one for each level, from fine to coarse.');
  for (const [i, gain] of gains.entries()) checkFinite(`gains[${i}]`, gain);
  return {
    acts: 'each',
    combine({ conditional, unconditional, w }) {
      checkLevels(conditional, gains.length);
      const d = sub(conditional, unconditional) as Tensor4D;
      return add(conditional, mul(weighted(d, gains), w));
    },
  };
}

/** Σ_l g_l L_l(d). */
function weighted(d: Tensor4D, [gain = 1, ...coarser]: readonly number[]): Tensor4D {
  if (coarser.every((other) => other === gain)) return gain === 1 ? d : mul(d, gain);
  const small = halve(d);
  const [low, rest] = [enlarge(small), enlarge(weighted(small, coarser))];
  return add(mul(sub(d, low), gain), rest);
}

/** The binomial filter, and every second value of the result, along both axes. */
const halve = (x: Tensor4D): Tensor4D => along(x, (size) => filters(size).down);
/** Zeros between the values, and twice the binomial filter, along both axes. */
const enlarge = (x: Tensor4D): Tensor4D => along(x, (size) => filters(2 * size).up);

/** x with a matrix [to, from] of `matrix(from)` applied to its rows, then one to its columns. */
function along(x: Tensor4D, matrix: (size: number) => Tensor2D): Tensor4D {
  const [n, h, w, c] = x.shape;
  const tall = matMul(matrix(h), reshape(x, [n, h, w * c])) as Tensor;
  const height = tall.shape[1] as number;
  const turned = reshape(transpose(reshape(tall, [n, height, w, c]), [0, 2, 1, 3]), [n, w, height * c]);
  const wide = matMul(matrix(w), turned) as Tensor;
  return transpose(reshape(wide, [n, wide.shape[1] as number, height, c]), [0, 2, 1, 3]) as Tensor4D;
}

/** The filter for `size` values as matrices: `down` [size/2, size] and `up` [size, size/2]. */
function filters(size: number): { down: Tensor2D; up: Tensor2D } {
  const down = Array.from({ length: size / 2 }, () => new Array<number>(size).fill(0));
  const up = Array.from({ length: size }, () => new Array<number>(size / 2).fill(0));
  [1, 4, 6, 4, 1].forEach((tap, offset) => {
    const from = (i: number) => mirrored(i + offset - 2, size);
    down.forEach((row, i) => {
      row[from(2 * i)] = (row[from(2 * i)] as number) + tap / 16;
    });
    up.forEach((row, i) => {
      if (from(i) % 2 === 0) row[from(i) / 2] = (row[from(i) / 2] as number) + tap / 8;
    });
  });
  return { down: tensor2d(down), up: tensor2d(up) };
}

/** Index i of 0 … size − 1, mirrored about the first and the last. */
const mirrored = (i: number, size: number): number => {
  const at = Math.abs(i);
  return at < size ? at : Math.abs(2 * (size - 1) - at);
};

function checkLevels({ shape }: Tensor, levels: number): void {
  const factor = 2 ** (levels - 1);
  const fits = shape.length === 4 && [shape[1], shape[2]].every((size) => (size as number) % factor === 0);
  if (!fits)
    throw new RangeError(
      `z has shape [${shape.join(', ')}]; ${levels} levels need images [n, h, w, c] with h and w divisible by ${factor}.`,
    );
}
