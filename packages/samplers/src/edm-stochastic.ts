import { checkFinite, type Value } from '@logsnr/core';
import { noised } from './exact-moves.js';
import type { Sampler } from './sampler.js';

/** The settings of EDM's churn, in the paper's terms; s = σ/α = e^{−λ/2} is its σ. */
export interface ChurnOptions {
  /** S_churn ≥ 0, shared by all steps: each raises s by the factor 1 + min(S_churn/T, √2 − 1). */
  churn?: number;
  /** Noise is added only where `sMin` ≤ s ≤ `sMax`; everywhere unless given. */
  sMin?: number;
  sMax?: number;
  /** S_noise, the standard deviation of the noise; slightly above 1 makes up for a model that removes too much. */
  noise?: number;
}

/**
 * EDM's stochastic sampler (Karras et al. 2022, arXiv 2206.00364, Algorithm 2) around any one-step sampler, Heun in the
 * paper: before a step noise is added, from λ back to λ̂ = λ − 2 ln(1 + γ), and the step goes from there to λ'.
 */
export function churn<S, V extends Value>(
  inner: Sampler<S, V>,
  { churn = 40, sMin = 0, sMax = Number.POSITIVE_INFINITY, noise: scale = 1 }: ChurnOptions = {},
): Sampler<S, V> {
  checkFinite('noise', scale);
  if (!(churn >= 0)) throw new RangeError(`churn is ${churn}; it must be at least 0.`);
  if (!(sMin <= sMax))
    throw new RangeError(`sMin is ${sMin} and sMax is ${sMax}; the first must not exceed the second.`);
  return {
    ...inner,
    name: `churn(${inner.name}, ${churn})`,
    step(context, state) {
      const { z, from, points, noise } = context;
      const steps = points.length - 1;
      const s = Math.exp(-from / 2);
      const gamma = s >= sMin && s <= sMax ? Math.min(churn / steps, Math.SQRT2 - 1) : 0;
      const start = from - 2 * Math.log1p(gamma);
      const raised = gamma === 0 ? z : noised(z, from, start, noise, scale);
      return inner.step({ ...context, z: raised, from: start }, state);
    },
  };
}
