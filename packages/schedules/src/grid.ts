import { checkAbove, checkIncreasing, checkInteger, type Schedule } from '@logsnr/core';

/**
 * The sampling grid λ_1 < … < λ_T of a schedule: u from 1 down to 0 in T equal steps (Ho & Salimans 2022, Algorithm 2).
 * @throws RangeError unless T is an integer of at least 2.
 */
export function grid(schedule: Schedule, steps: number): number[] {
  checkInteger('steps', steps, 2);
  return Array.from({ length: steps }, (_, t) => schedule(1 - t / (steps - 1)));
}

/**
 * A grid from one's own noise levels s = σ/α (EDM's σ), which fall: λ = −2 ln s. A last level of 0, clean data, is left
 * out: a walk goes there by itself.
 * @throws RangeError unless the levels are finite, above 0 and fall strictly.
 */
export function fromSigmas(sigmas: readonly number[]): number[] {
  const levels = sigmas.at(-1) === 0 ? sigmas.slice(0, -1) : sigmas;
  const lambdas = levels.map((s, i) => {
    checkAbove(`sigmas[${i}]`, s);
    return -2 * Math.log(s);
  });
  checkIncreasing(lambdas);
  return lambdas;
}
