import { checkAbove, checkFinite, checkWithin, type Schedule } from '@logsnr/core';
import { checkRange, inTime, type LambdaRange } from './range.js';

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

/**
 * The sigmoid schedule: α²(t) = (S(e) − S(b + (e − b) t))/(S(e) − S(b)), S the logistic function, b = start/τ and
 * e = end/τ (Jabri et al. 2022, arXiv 2212.11972, algorithm 4; Chen 2023, arXiv 2301.10972). t is uniform over the times
 * at which λ lies in the range.
 */
export function sigmoidSchedule({
  start = -3,
  end = 3,
  tau = 1,
  lambdaMin = -20,
  lambdaMax = 20,
}: LambdaRange & { start?: number; end?: number; tau?: number } = {}): Schedule {
  checkAbove('tau', tau);
  checkAbove('end - start', end - start);
  const [b, e] = [start / tau, end / tau];
  const width = e - b;
  const weight = Math.cosh(b / 2) / Math.cosh(e / 2);
  // With differences of S as sinh over cosh, e^λ = weight · sinh((e − x)/2)/sinh((x − b)/2) keeps its digits at both ends.
  return inTime(
    (t) => Math.log((weight * Math.sinh((width * (1 - t)) / 2)) / Math.sinh((width * t) / 2)),
    (lambda) => (2 * Math.atanh(Math.sinh(width / 2) / (Math.exp(lambda) / weight + Math.cosh(width / 2)))) / width,
    { lambdaMin, lambdaMax },
  );
}
