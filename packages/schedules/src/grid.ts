import { checkInteger, type Schedule } from '@logsnr/core';

/**
 * The sampling grid λ_1 < … < λ_T of a schedule: u from 1 down to 0 in T equal steps (Ho & Salimans 2022, Algorithm 2).
 * @throws RangeError unless T is an integer of at least 2.
 */
export function grid(schedule: Schedule, steps: number): number[] {
  checkInteger('steps', steps, 2);
  return Array.from({ length: steps }, (_, t) => schedule(1 - t / (steps - 1)));
}
