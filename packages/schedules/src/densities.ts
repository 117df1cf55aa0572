import { checkAbove, checkFinite, type Schedule } from '@logsnr/core';
import { normalCdf, normalQuantile } from './quantiles.js';
import { inTime, type LambdaRange } from './range.js';

/** λ uniform in its range. As a grid this is the exponential one: ln(σ/α) = −λ/2 falls in equal steps. */
export function uniform({ lambdaMin = -20, lambdaMax = 20 }: LambdaRange = {}): Schedule {
  return inTime(
    (t) => -t,
    (lambda) => -lambda,
    { lambdaMin, lambdaMax },
  );
}

/**
 * λ from the Laplace density e^{−|λ−mean|/scale}/(2 scale), cut to the range (Hang et al. 2024, arXiv 2407.03297,
 * table 1; mean 0 and scale 0.5 there).
 */
export function laplace({
  mean = 0,
  scale = 0.5,
  lambdaMin = -20,
  lambdaMax = 20,
}: LambdaRange & { mean?: number; scale?: number } = {}): Schedule {
  checkFinite('mean', mean);
  checkAbove('scale', scale);
  return inTime(
    (t) => mean + (t < 0.5 ? -scale * Math.log(2 * t) : scale * Math.log(2 * (1 - t))),
    (lambda) => {
      const tail = Math.exp(-Math.abs(lambda - mean) / scale) / 2;
      return lambda > mean ? tail : 1 - tail;
    },
    { lambdaMin, lambdaMax },
  );
}

/**
 * λ from EDM's density: ln(σ/α) ~ N(`mean`, `std`²), so λ = −2 ln(σ/α) ~ N(−2 mean, (2 std)²), cut to the range
 * (Karras et al. 2022, arXiv 2206.00364, table 1; P_mean = −1.2 and P_std = 1.2 there).
 */
export function logNormal({
  mean = -1.2,
  std = 1.2,
  lambdaMin = -20,
  lambdaMax = 20,
}: LambdaRange & { mean?: number; std?: number } = {}): Schedule {
  checkFinite('mean', mean);
  checkAbove('std', std);
  return inTime(
    (t) => -2 * (mean + std * normalQuantile(t)),
    (lambda) => normalCdf((-lambda / 2 - mean) / std),
    { lambdaMin, lambdaMax },
  );
}

/**
 * The spacing of Karras et al. (2022, arXiv 2206.00364, eq. 5) in s = σ/α = e^{−λ/2}: s^{1/ρ} falls in equal steps from
 * the one end of the range to the other. The default range is EDM's, s from 80 to 0.002.
 */
export function karras({
  rho = 7,
  lambdaMin = -2 * Math.log(80),
  lambdaMax = -2 * Math.log(0.002),
}: LambdaRange & { rho?: number } = {}): Schedule {
  checkAbove('rho', rho);
  return inTime(
    (t) => -2 * rho * Math.log(t),
    (lambda) => Math.exp(-lambda / (2 * rho)),
    { lambdaMin, lambdaMax },
  );
}
