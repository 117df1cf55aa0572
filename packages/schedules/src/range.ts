import { checkFinite, checkWithin, type Schedule } from '@logsnr/core';

/** The log-SNR range that a schedule covers, in nats: u = 1 gives `lambdaMin`, u = 0 gives `lambdaMax`. */
export interface LambdaRange {
  lambdaMin?: number;
  lambdaMax?: number;
}

export function checkRange(lambdaMin: number, lambdaMax: number): void {
  checkFinite('lambdaMin', lambdaMin);
  checkFinite('lambdaMax', lambdaMax);
  if (!(lambdaMin < lambdaMax))
    throw new RangeError(`lambdaMin = ${lambdaMin} must be below lambdaMax = ${lambdaMax}.`);
}

/**
 * A schedule λ(t) in time, which falls, cut to a range: u = 0 … 1 goes evenly over the times at which λ lies in the range.
 * For a density of λ, t is its share above λ. The ends are exact, and u is checked.
 */
export function inTime(
  lambdaAt: (t: number) => number,
  timeOf: (lambda: number) => number,
  range: Required<LambdaRange>,
): Schedule {
  checkRange(range.lambdaMin, range.lambdaMax);
  const [first, last] = [timeOf(range.lambdaMax), timeOf(range.lambdaMin)];
  return (u) => {
    checkWithin('u', u, 0, 1);
    if (u === 0) return range.lambdaMax;
    if (u === 1) return range.lambdaMin;
    // Next to the ends rounding could leave the range.
    return Math.min(Math.max(lambdaAt(first + u * (last - first)), range.lambdaMin), range.lambdaMax);
  };
}
