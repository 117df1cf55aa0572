import { checkAbove, checkInteger } from '@logsnr/core';

export interface BetaRange {
  /** T, the number of times of the model (1000). */
  steps?: number;
  start?: number;
  end?: number;
}

const between = (steps: number, start: number, end: number): number[] => {
  checkInteger('steps', steps, 2);
  checkAbove('start', start);
  checkAbove('end', end);
  return Array.from({ length: steps }, (_, t) => start + (t * (end - start)) / (steps - 1));
};

/** β_t uniform from `start` to `end`, T of them (Ho et al. 2020, arXiv 2006.11239, section 4). */
export const linearBetas = ({ steps = 1000, start = 1e-4, end = 0.02 }: BetaRange = {}): number[] =>
  between(steps, start, end);

/** √β_t uniform from √`start` to √`end` ("scaled linear", Rombach et al. 2022, arXiv 2112.10752; Stable Diffusion's β). */
export const scaledLinearBetas = ({ steps = 1000, start = 0.00085, end = 0.012 }: BetaRange = {}): number[] =>
  between(steps, Math.sqrt(start), Math.sqrt(end)).map((root) => root ** 2);

/**
 * β_t = min(1 − f((t+1)/T)/f(t/T), `cap`) with f(τ) = cos²(π/2 · (τ + 0.008)/1.008) (Nichol & Dhariwal 2021,
 * arXiv 2102.09672, eq. 17; "squaredcos_cap_v2").
 */
export function cosineBetas({ steps = 1000, cap = 0.999 }: { steps?: number; cap?: number } = {}): number[] {
  checkInteger('steps', steps, 2);
  checkAbove('cap', cap);
  const angle = (t: number) => (Math.PI / 2) * ((t / steps + 0.008) / 1.008);
  return Array.from({ length: steps }, (_, t) => {
    const [a, b] = [angle(t), angle(t + 1)];
    // cos²a − cos²b = sin(b − a) sin(b + a), without the difference of two near numbers.
    return Math.min((Math.sin(b - a) * Math.sin(b + a)) / Math.cos(a) ** 2, cap);
  });
}
