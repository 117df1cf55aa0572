import { alpha, alphaRatio, checkWithin, combine, posterior, scaleByExp, sigma, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isData } from './exact-moves.js';
import type { Sampler } from './sampler.js';

/**
 * Ancestral sampling, the step of Algorithm 2 (Ho & Salimans 2022):
 * z' ~ N(μ̃_{λ'|λ}(z, x̂), (σ̃²_{λ'|λ})^{1−v} (σ²_{λ|λ'})^v); at λ' = +∞ it is x̂ itself.
 *
 * The mean is written in x̂ and ε̂: μ̃ = α' x̂ + e^{λ−λ'} (α'/α) σ ε̂. A model that has learned its variance gives v for each value
 * (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15), which then takes the place of the option.
 * @param v exponent in [0, 1]: 0 is the smallest variance (the exact posterior's), 1 the largest. The paper uses 0.3
 *   at 64×64 and 0.2 at 128×128.
 */
export function ancestral<V extends Value = Tensor>({ v = 0 }: { v?: number } = {}): Sampler<null, V> {
  checkWithin('v', v, 0, 1);
  return {
    name: `ancestral(v=${v})`,
    order: 1,
    renoises: true,
    calls: () => 1,
    init: () => null,
    step({ predict, z, from, to, noise }, state) {
      const { x, eps, renoise, variance } = predict(z, from);
      if (isData(to)) return { z: combine([1, x]), state };
      const kept = alphaRatio(from, to) * sigma(from) * Math.exp(from - to);
      const mean: [number, V][] = [
        [alpha(to), x],
        [kept, renoise ?? eps],
      ];
      if (!variance) return { z: combine(...mean, [Math.sqrt(posterior(from, to, v).variance), noise()]), state };
      const [least, most] = [0, 1].map((v) => Math.log(posterior(from, to, v).variance) / 2) as [number, number];
      return { z: combine(...mean, [1, scaleByExp(noise(), variance, least, most - least)]), state };
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
    renoises: true,
    calls: () => 1,
    init: () => null,
    step({ predict, z, from, to, noise }, state) {
      const { x, eps, renoise } = predict(z, from);
      const std = eta > 0 && !isData(to) ? eta * Math.sqrt(posterior(from, to).variance) : 0;
      const terms: [number, V][] = [
        [alpha(to), x],
        [direction(from, to, eta), renoise ?? eps],
      ];
      if (std > 0) terms.push([std, noise()]);
      return { z: combine(...terms), state };
    },
  };
}

/** √(σ'² − η² σ̃²) = σ' √(1 − η² (1 − e^{λ−λ'})), without the difference of two near numbers. */
const direction = (from: number, to: number, eta: number): number =>
  sigma(to) * Math.sqrt(1 - eta ** 2 + eta ** 2 * Math.exp(from - to));
