import { alphaRatio, checkWithin, combine, posterior, sigma, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Sampler, splitTerms } from './sampler.js';

/**
 * Ancestral sampling, the step of Algorithm 2 (Ho & Salimans 2022): x̂ = (z − σ ε̂)/α, then
 * z' ~ N(μ̃_{λ'|λ}(z, x̂), (σ̃²_{λ'|λ})^{1−v} (σ²_{λ|λ'})^v); at λ' = +∞ it is x̂ itself.
 *
 * The mean is written in ε: μ̃ = α' x̂ + e^{λ−λ'} (α'/α) σ ε̂ = (α'/α) (z − (1 − e^{λ−λ'}) σ ε̂), the same number without
 * the division by a small α.
 * @param v exponent in [0, 1]: 0 is the smallest variance (the exact posterior's), 1 the largest. The paper uses 0.3
 *   at 64×64 and 0.2 at 128×128.
 */
export function ancestral<V extends Value = Tensor>({ v = 0 }: { v?: number } = {}): Sampler<null, V> {
  checkWithin('v', v, 0, 1);
  return {
    name: `ancestral(v=${v})`,
    order: 1,
    splits: true,
    calls: () => 1,
    init: () => null,
    step(eps, z, from, to, state, noise) {
      const ratio = alphaRatio(from, to);
      const removed = ratio * sigma(from);
      const terms: [number, V][] = [
        [ratio, z],
        ...splitTerms(eps, z, from, { denoise: -removed, renoise: removed * Math.exp(from - to) }),
      ];
      if (to < Number.POSITIVE_INFINITY) terms.push([Math.sqrt(posterior(from, to, v).variance), noise()]);
      return { z: combine(...terms), state };
    },
  };
}

/**
 * DDIM (Song et al. 2021, arXiv 2010.02502, eq. 12 and 16): z' = α' x̂ + √(σ'² − η² σ̃²) ε̂ + η σ̃ n, with σ̃² the
 * variance of the posterior; at λ' = +∞ it is x̂.
 * @param eta η in [0, 1]: 0 is deterministic, 1 is ancestral sampling with v = 0.
 */
export function ddim<V extends Value = Tensor>({ eta = 0 }: { eta?: number } = {}): Sampler<null, V> {
  checkWithin('eta', eta, 0, 1);
  return {
    name: `ddim(eta=${eta})`,
    order: 1,
    splits: true,
    calls: () => 1,
    init: () => null,
    step(eps, z, from, to, state, noise) {
      const ratio = alphaRatio(from, to);
      const std = eta > 0 && to < Number.POSITIVE_INFINITY ? eta * Math.sqrt(posterior(from, to).variance) : 0;
      const terms: [number, V][] = [
        [ratio, z],
        ...splitTerms(eps, z, from, { denoise: -ratio * sigma(from), renoise: direction(from, to, eta) }),
      ];
      if (std > 0) terms.push([std, noise()]);
      return { z: combine(...terms), state };
    },
  };
}

/** √(σ'² − η² σ̃²) = σ' √(1 − η² (1 − e^{λ−λ'})), without the difference of two near numbers. */
const direction = (from: number, to: number, eta: number): number =>
  sigma(to) * Math.sqrt(1 - eta ** 2 + eta ** 2 * Math.exp(from - to));
