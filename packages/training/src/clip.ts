import { checkAbove, scoped } from '@logsnr/core';
import { addN, div, maximum, mul, type Scalar, sqrt, square, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';

/** ‖g‖ = √(Σ g²) over all elements of all tensors: a scalar that the caller owns. */
export const globalNorm = (tensors: readonly Tensor[]): Scalar =>
  tidy(() => sqrt(addN(tensors.map((g) => sum(square(g))))) as Scalar);

/**
 * Gradients scaled to a global norm of at most `limit`: g · limit / max(‖g‖, limit) (Pascanu et al. 2013, arXiv
 * 1211.5063, section 3.2). Within the limit they are unchanged bit for bit, and null (of frozen weights) stays null. The
 * caller owns the result.
 */
export function clipByGlobalNorm<G extends Tensor | null>(gradients: readonly G[], limit: number): G[] {
  checkAbove('the norm to clip at', limit);
  return scoped(() => {
    const factor = div(limit, maximum(globalNorm(gradients.filter((g) => g !== null)), limit));
    return gradients.map((g) => g && mul(g, factor)) as G[];
  });
}
