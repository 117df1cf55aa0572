import { alpha, alphaRatio, combine, sigma, type Value } from '@logsnr/core';
import type { Eps } from './sampler.js';

/** The coefficients of z' = `z` z + `eps` ε: where the flow goes from λ to λ' when ε stays as it is (DDIM). */
export function epsMove(from: number, to: number): { z: number; eps: number } {
  const ratio = alphaRatio(from, to);
  // σ' − (α'/α) σ, without the difference.
  return { z: ratio, eps: ratio * sigma(from) * Math.expm1((from - to) / 2) };
}

/**
 * The coefficients of z' = `z` z + `x` x̂ + `noise` n: where the reverse process goes from λ to λ' when x̂ stays as it is
 * (Lu et al. 2022, arXiv 2211.01095; Xue et al. 2023, arXiv 2309.05019, with τ² = η). With h = (λ' − λ)/2,
 * z = (σ'/σ) e^{−ηh}, x = α' (1 − e^{−(1+η)h}), noise = σ' √(1 − e^{−2ηh}). η = 0 is the flow; λ' = +∞ is x̂.
 */
export function dataMove(from: number, to: number, eta = 0): { z: number; x: number; noise: number } {
  if (to === Number.POSITIVE_INFINITY) return { z: 0, x: 1, noise: 0 };
  const h = (to - from) / 2;
  return {
    z: (sigma(to) / sigma(from)) * Math.exp(-eta * h),
    x: -alpha(to) * Math.expm1(-(1 + eta) * h),
    noise: sigma(to) * Math.sqrt(-Math.expm1(-2 * eta * h)),
  };
}

/** x̂ = (z − σ ε)/α. */
export const dataFrom = <V extends Value>(eps: V, z: V, lambda: number): V =>
  combine([1 / alpha(lambda), z], [-sigma(lambda) / alpha(lambda), eps]);

/** x̂(z, λ). */
export const dataOf = <V extends Value>(eps: Eps<V>, z: V, lambda: number): V => dataFrom(eps(z, lambda), z, lambda);

/** Whether a point is clean data. */
export const isData = (lambda: number | undefined): boolean => lambda === Number.POSITIVE_INFINITY;
