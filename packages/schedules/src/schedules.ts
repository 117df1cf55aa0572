import { checkFinite, checkWithin, type Schedule } from '@logsnr/core';

/** The log-SNR range that a schedule covers, in nats: u = 1 gives `lambdaMin`, u = 0 gives `lambdaMax`. */
export interface LambdaRange {
  lambdaMin?: number;
  lambdaMax?: number;
}

function checkRange(lambdaMin: number, lambdaMax: number): void {
  checkFinite('lambdaMin', lambdaMin);
  checkFinite('lambdaMax', lambdaMax);
  if (!(lambdaMin < lambdaMax))
    throw new RangeError(`lambdaMin = ${lambdaMin} must be below lambdaMax = ${lambdaMax}.`);
}

/**
 * A schedule in time, cut to a range: t runs over the interval in which λ(t), which falls, stays within the range.
 * The ends are exact; u is checked.
 */
function inTime(
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
    return lambdaAt(first + u * (last - first));
  };
}

/**
 * The paper's p(λ), a hyperbolic secant cut at both ends: λ = −2 ln tan(a u + b), b = arctan(e^{−λ_max/2}),
 * a = arctan(e^{−λ_min/2}) − b (Ho & Salimans 2022, section 3.1; λ_min = −20 and λ_max = 20 there). It is the cosine
 * schedule of Nichol & Dhariwal (2021) in continuous time.
 */
export function arctan({ lambdaMin = -20, lambdaMax = 20 }: LambdaRange = {}): Schedule {
  checkRange(lambdaMin, lambdaMax);
  // tan(a u + b) with a u + b = π/2 − rest: near π/2 the complement keeps the digits that the sum would lose.
  const high = Math.atan(Math.exp(-lambdaMax / 2));
  const low = Math.atan(Math.exp(lambdaMin / 2)); // = π/2 − arctan(e^{−λ_min/2})
  const span = Math.PI / 2 - low - high;
  return (u) => {
    checkWithin('u', u, 0, 1);
    if (u === 0) return lambdaMax;
    if (u === 1) return lambdaMin;
    return u < 0.5 ? -2 * Math.log(Math.tan(high + span * u)) : 2 * Math.log(Math.tan(low + span * (1 - u)));
  };
}

/**
 * The cosine schedule with offset s: α²(t) = cos²(π/2 · (t+s)/(1+s)) / cos²(π/2 · s/(1+s)) (Nichol & Dhariwal 2021,
 * arXiv 2102.09672, eq. 17), t uniform over the times at which λ lies in the range.
 */
export function cosine({ s = 0.008, lambdaMin = -20, lambdaMax = 20 }: LambdaRange & { s?: number } = {}): Schedule {
  checkWithin('s', s, 0, 1);
  const start = Math.cos((Math.PI / 2) * (s / (1 + s))) ** 2;
  return inTime(
    (t) => {
      const angle = (Math.PI / 2) * ((t + s) / (1 + s));
      const square = Math.cos(angle) ** 2;
      return Math.log(square) - Math.log(start - square);
    },
    (lambda) => ((1 + s) * Math.acos(Math.sqrt(start / (1 + Math.exp(-lambda))))) / (Math.PI / 2) - s,
    { lambdaMin, lambdaMax },
  );
}

/**
 * The linear-β schedule in continuous time: ln α²(t) = −B(t), B(t) = β_min t + (β_max − β_min) t²/2 (Song et al. 2021,
 * arXiv 2011.13456, eq. 33, variance preserving), so λ = −ln(e^B − 1). t is uniform over the times at which λ lies in
 * the range; by default up to t = 1, where λ = −10.05 for the usual β.
 */
export function linearBeta({
  betaMin = 0.1,
  betaMax = 20,
  lambdaMin,
  lambdaMax = 20,
}: LambdaRange & { betaMin?: number; betaMax?: number } = {}): Schedule {
  checkFinite('betaMin', betaMin);
  checkFinite('betaMax', betaMax);
  if (!(betaMin > 0 && betaMax > betaMin))
    throw new RangeError(`betaMin = ${betaMin} and betaMax = ${betaMax}; they must be positive and increasing.`);
  const slope = betaMax - betaMin;
  const lambdaAt = (t: number) => -Math.log(Math.expm1(betaMin * t + (slope * t * t) / 2));
  return inTime(
    lambdaAt,
    (lambda) => {
      const b = Math.max(-lambda, 0) + Math.log1p(Math.exp(-Math.abs(lambda))); // ln(1 + e^{−λ})
      return (2 * b) / (betaMin + Math.sqrt(betaMin ** 2 + 2 * slope * b));
    },
    { lambdaMin: lambdaMin ?? lambdaAt(1), lambdaMax },
  );
}
