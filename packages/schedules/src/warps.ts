import { checkAbove, checkFinite, checkWithin, type Schedule } from '@logsnr/core';
import { betaQuantile } from './quantiles.js';

/**
 * A schedule moved along λ: λ ↦ λ + `by`. A model of images of d×d pixels keeps the schedule that was found for 64×64
 * when shifted by 2 ln(64/d) (Hoogeboom et al. 2023, arXiv 2301.11093, section 3.1); a flow's "time shift" s is −2 ln s.
 */
export function shifted(schedule: Schedule, by: number): Schedule {
  checkFinite('by', by);
  return (u) => schedule(u) + by;
}

/**
 * A schedule whose times are the quantiles of Beta(`a`, `b`) instead of uniform: u ↦ schedule(F⁻¹(u)). With a and b
 * below 1 a grid is denser at both ends ("Beta sampling", Lee et al. 2024, arXiv 2407.12173, section 4.2; 0.6 there).
 */
export function betaTimes(schedule: Schedule, { a = 0.6, b = 0.6 }: { a?: number; b?: number } = {}): Schedule {
  checkAbove('a', a);
  checkAbove('b', b);
  return (u) => {
    checkWithin('u', u, 0, 1);
    return schedule(betaQuantile(u, a, b));
  };
}
