import { alpha, gaussianMixture, sigma } from '@logsnr/core';
import { bisect, normalCdf } from '@logsnr/schedules';

/** A one-dimensional mixture, whose probability flow carries quantiles to quantiles: F_λ'(z') = F_λ(z). */
const parts = [
  { mean: -0.8, std: 0.35, weight: 1 / 3 },
  { mean: 0.6, std: 0.5, weight: 2 / 3 },
];
const line = gaussianMixture(parts.map(({ mean, std, weight }) => ({ mean: [mean], std, weight })));

/** ε of the mixture at every number of z by itself. */
export const lineEps = (z: Float64Array, lambda: number): Float64Array =>
  z.map((value) => line.eps([value], lambda)[0] as number);

/** P(Z ≤ z) at λ. */
function distribution(z: number, lambda: number): number {
  return parts.reduce((sum, { mean, std, weight }) => {
    const deviation = Math.hypot(alpha(lambda) * std, sigma(lambda));
    return sum + weight * normalCdf((z - alpha(lambda) * mean) / deviation);
  }, 0);
}

/** The exact flow of the mixture from λ to λ', number by number, by bisection of its quantiles. */
export const lineFlow = (z: Float64Array, from: number, to: number): Float64Array =>
  z.map((value) => {
    const quantile = distribution(value, from);
    return bisect((z) => distribution(z, to), quantile, -12, 12);
  });

/** A Gaussian, for which every linear sampler has an exact law. */
export const bell = { mean: 0.7, std: 0.5 };

/** The Gaussian's law at λ: mean and variance of z. */
export const bellAt = (lambda: number): { mean: number; variance: number } => ({
  mean: alpha(lambda) * bell.mean,
  variance: (alpha(lambda) * bell.std) ** 2 + sigma(lambda) ** 2,
});

/**
 * ε of the Gaussian on numbers that are not z but its coefficients: of 1, of z at the start and of each noise drawn,
 * which is exact because ε = σ (z − α m)/(α² s² + σ²) is linear in z.
 */
export function bellEps(z: Float64Array, lambda: number): Float64Array {
  const { mean, variance } = bellAt(lambda);
  return z.map((value, i) => (sigma(lambda) * (i === 0 ? value - mean : value)) / variance);
}
