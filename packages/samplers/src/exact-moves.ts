import { alpha, alphaRatio, combine, type Estimate, sigma, transition, type Value } from '@logsnr/core';

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

/** The x̂ that belongs to the ε̂ to renoise with, (z − σ ε̂_renoise)/α = x̂ + (σ/α)(ε̂ − ε̂_renoise); x̂ itself without one. */
export const renoisedData = <V extends Value>({ x, eps, renoise }: Estimate<V>, lambda: number): V => {
  if (!renoise) return x;
  const scale = Math.exp(-lambda / 2);
  return combine([1, x], [scale, eps], [-scale, renoise]);
};

/** z taken back from λ to a noisier λ' by the forward process: (α'/α) z + `scale` σ_{λ'|λ} n. */
export function noised<V extends Value>(z: V, from: number, to: number, noise: () => V, scale = 1): V {
  const back = transition(from, to);
  return combine([back.scale, z], [scale * Math.sqrt(back.variance), noise()]);
}

/** Whether a point is clean data. */
export const isData = (lambda: number | undefined): boolean => lambda === Number.POSITIVE_INFINITY;
