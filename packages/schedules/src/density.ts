import type { Schedule } from '@logsnr/core';
import { bisect } from './quantiles.js';
import { checkRange, type LambdaRange } from './range.js';

/**
 * The density p(λ) = −du/dλ of λ = schedule(u), u ~ U[0, 1]. It is 0 outside of the schedule's range. The schedule is
 * inverted by bisection, and its inverse differentiated by central differences; the relative error is about 1e-6 for
 * densities that change over a nat or more.
 * @throws RangeError where the schedule does not fall from u = 0 to u = 1.
 */
export function densityOf(schedule: Schedule): (lambda: number) => number {
  const [high, low] = [schedule(0), schedule(1)];
  if (!(low < high)) throw new RangeError(`the schedule goes from ${high} to ${low}; λ must fall as u rises.`);
  const inverse = (lambda: number): number => bisect((u) => -schedule(u), -lambda, 0, 1);
  return (lambda) => {
    if (!(lambda >= low && lambda <= high)) return 0;
    const [from, to] = [Math.max(low, lambda - 1e-3), Math.min(high, lambda + 1e-3)];
    return (inverse(from) - inverse(to)) / (to - from);
  };
}

/**
 * The paper's p(λ) = sech(λ/2)/(4a) on [λ_min, λ_max], a = arctan(e^{−λ_min/2}) − arctan(e^{−λ_max/2}) (Ho & Salimans
 * 2022, arXiv 2207.12598, section 3.1): a hyperbolic secant. For use as an importance weight: `perLambda(secant(),
 * densityOf(schedule))`.
 */
export function secant({ lambdaMin = -20, lambdaMax = 20 }: LambdaRange = {}): (lambda: number) => number {
  checkRange(lambdaMin, lambdaMax);
  const a = Math.atan(Math.exp(-lambdaMin / 2)) - Math.atan(Math.exp(-lambdaMax / 2));
  return (lambda) => (lambda < lambdaMin || lambda > lambdaMax ? 0 : 1 / (4 * a * Math.cosh(lambda / 2)));
}
