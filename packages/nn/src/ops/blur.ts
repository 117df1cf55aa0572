import { fill, type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';

/**
 * A Gaussian blur of a map of h × w tokens, as a matrix [h w, h w]. Its deviation is `sigma`, in tokens. It is cut at 3 σ and
 * mirrored at the borders. With σ = ∞ every token becomes the mean of all.
 */
export function blurMatrix(h: number, w: number, sigma: number): Tensor2D {
  const t = h * w;
  if (sigma === Number.POSITIVE_INFINITY) return fill([t, t], 1 / t);
  const [rows, columns] = [blurRow(h, sigma), blurRow(w, sigma)];
  const values = new Float32Array(t * t);
  for (let i = 0; i < t; i++)
    for (let j = 0; j < t; j++) {
      const [from, to] = [Math.floor(j / w) * h + Math.floor(i / w), (j % w) * w + (i % w)];
      values[i * t + j] = (rows[from] as number) * (columns[to] as number);
    }
  return tensor2d(values, [t, t]);
}

/** Weight of value `from` in blurred value `to`, at from · size + to. */
function blurRow(size: number, sigma: number): Float64Array {
  const reach = Math.floor(Math.ceil(6 * sigma) / 2);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const total = kernel.reduce((sum, value) => sum + value, 0);
  const weights = new Float64Array(size * size);
  for (let to = 0; to < size; to++)
    kernel.forEach((value, k) => {
      const at = mirrored(to + k - reach, size) * size + to;
      weights[at] = (weights[at] as number) + value / total;
    });
  return weights;
}

/** Index i of 0 … size − 1, mirrored about the first and the last as often as it takes. */
function mirrored(i: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const at = ((i % period) + period) % period;
  return Math.min(at, period - at);
}
