import { alphaSigma, perSample } from '@logsnr/core';
import { add, divNoNan, lessEqual, mul, sub, where } from '@tensorflow/tfjs-core';
import type { Rule } from './guide.js';
import { inner } from './norms.js';

export interface CfgZeroStarOptions {
  /** "Zero-init": at log-SNR up to this (in nats) the velocity is 0. Not unless given. */
  zeroUpTo?: number | undefined;
}

/**
 * CFG-Zero* (Fan et al. 2025, arXiv 2503.18886): ε̃ = (1 + w) ε_c − w s ε_∅ with the optimized scale
 * s = ⟨ε_c, ε_∅⟩/‖ε_∅‖² of each sample, which takes out what ε_∅ gets wrong in its length; s = 0 where ε_∅ is 0.
 * The paper states it for the velocity of flow matching; here, as elsewhere, it is applied to ε.
 *
 * Its second part, zero-init, replaces the guided velocity of the first steps by 0. In the variance-preserving process v = 0
 * means ε̃ = σ z (ε = σ z + α v).
 */
export function cfgZeroStar({ zeroUpTo = Number.NEGATIVE_INFINITY }: CfgZeroStarOptions = {}): Rule {
  if (Number.isNaN(zeroUpTo)) throw new RangeError('zeroUpTo is NaN; it must be a log-SNR in nats.');
  return ({ conditional, unconditional, w, z, lambda }) => {
    const scale = divNoNan(inner(conditional, unconditional), inner(unconditional, unconditional));
    const guided = add(conditional, mul(sub(conditional, mul(unconditional, scale)), w));
    if (zeroUpTo === Number.NEGATIVE_INFINITY) return guided;
    const still = mul(perSample(alphaSigma(lambda).sigma, z), z);
    return where(perSample(lessEqual(lambda, Math.min(zeroUpTo, 3e38)), z), still, guided);
  };
}
