import { checkInteger, type LinearAlgebra, type Matrix } from '@logsnr/core';
import { checkPair, rowsOf } from './matrix.js';
import { plain } from './plain.js';

export interface ManifoldOptions {
  /** Which nearest neighbour makes a ball's radius; 3 unless given, as Kynkäänniemi et al. take; Naeem et al. take 5. */
  readonly k?: number | undefined;
  /** Samples in a block of distances, block² numbers; 1,024 unless given. It changes no result. */
  readonly block?: number | undefined;
  readonly algebra?: LinearAlgebra | undefined;
}

export interface Manifold {
  /** The share of generated samples that lie in some real sample's ball. */
  readonly precision: number;
  /** The share of real samples that lie in some generated sample's ball. */
  readonly recall: number;
  /** The mean number of real balls that a generated sample lies in, over k. It may exceed 1. */
  readonly density: number;
  /** The share of real samples whose ball holds a generated one. */
  readonly coverage: number;
}

/**
 * Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991), density and coverage (Naeem et al. 2020,
 * arXiv 2002.09797). A sample's ball reaches to the k-th nearest other sample of its own set, that one left out:
 * a sample lies in a ball where its distance is below the radius.
 *
 * Time O((n + m)² d), memory block² besides the features. All four change with n, so compare at equal n. With `real` and
 * generated samples alike precision, recall and density need not be 1; only coverage comes near it, 1 − 2^{−k} and more.
 * @throws RangeError on other columns, a number that is not finite, or a set of k samples or fewer.
 */
export function manifold(
  real: Matrix,
  generated: Matrix,
  { k = 3, block = 1024, algebra = plain }: ManifoldOptions = {},
): Manifold {
  checkPair('the real features', real, 'the generated features', generated);
  checkInteger('k', k, 1, Math.min(real.rows, generated.rows) - 1);
  checkInteger('block', block, 1);
  const around = centre(real);
  const walk = walker(around, block, algebra);
  const [reach, reachGenerated] = [radii(real, k, walk), radii(generated, k, walk)];
  const balls = new Uint32Array(generated.rows);
  const [recalled, covered] = [new Uint8Array(real.rows), new Uint8Array(real.rows)];
  walk(real, generated, (i, j, squared) => {
    if (squared < (reach[i] as number)) {
      balls[j] = (balls[j] as number) + 1;
      covered[i] = 1;
    }
    if (squared < (reachGenerated[j] as number)) recalled[i] = 1;
  });
  return {
    precision: share(balls.map((count) => (count > 0 ? 1 : 0))),
    recall: share(recalled),
    density: share(balls) / k,
    coverage: share(covered),
  };
}

type Visit = (i: number, j: number, squared: number) => void;
type Walk = (x: Matrix, y: Matrix, visit: Visit) => void;

/** Squared distances |x|² + |y|² − 2 x·y about a centre, so that they keep their digits, block after block. */
function walker(around: Float64Array, block: number, algebra: LinearAlgebra): Walk {
  const part = (m: Matrix, start: number) => {
    const rows = rowsOf(m, start, start + block);
    const norms = new Float64Array(rows.rows);
    for (let i = 0, at = 0; i < rows.rows; i++)
      for (let j = 0; j < rows.columns; j++, at++) {
        const value = (rows.data[at] as number) - (around[j] as number);
        rows.data[at] = value;
        norms[i] = (norms[i] as number) + value * value;
      }
    return { rows, norms };
  };
  return (x, y, visit) => {
    for (let first = 0; first < x.rows; first += block) {
      const left = part(x, first);
      for (let start = 0; start < y.rows; start += block) {
        const right = part(y, start);
        const { data } = algebra.multiply(left.rows, right.rows, { b: true });
        for (let i = 0, at = 0; i < left.rows.rows; i++)
          for (let j = 0; j < right.rows.rows; j++, at++) {
            const squared = (left.norms[i] as number) + (right.norms[j] as number) - 2 * (data[at] as number);
            visit(first + i, start + j, Math.max(0, squared));
          }
      }
    }
  };
}

/** The squared distance of each sample to the k-th nearest other one. */
function radii(x: Matrix, k: number, walk: Walk): Float64Array {
  const nearest = new Float64Array(x.rows * k).fill(Number.POSITIVE_INFINITY);
  walk(x, x, (i, j, squared) => {
    // The k nearest of sample i, the farthest first; what is nearer than that goes in, in order.
    let at = i * k;
    if (i === j || squared >= (nearest[at] as number)) return;
    for (; at < i * k + k - 1 && squared < (nearest[at + 1] as number); at++) nearest[at] = nearest[at + 1] as number;
    nearest[at] = squared;
  });
  return Float64Array.from({ length: x.rows }, (_, i) => nearest[i * k] as number);
}

function centre({ data, rows, columns }: Matrix): Float64Array {
  const mean = new Float64Array(columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) mean[j] = (mean[j] as number) + (data[i * columns + j] as number) / rows;
  return mean;
}

const share = (values: Uint8Array | Uint32Array): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
};
