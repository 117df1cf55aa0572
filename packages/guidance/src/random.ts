import { type Conditioning, checkInteger, type Key, normal } from '@logsnr/core';
import { concat, cos, mul, reshape, sin, sum, type Tensor, type Tensor1D, tensor1d } from '@tensorflow/tfjs-core';

/**
 * n conditions with random numbers of their own: `noise` [n, 2K, …], drawn once for each sample.
 *
 * Methods that need new noise at each step (CADS, independent-condition and time-step guidance) make it of these and of λ
 * with {@link noiseAt}. So they stay pure functions: sample i depends on its own numbers alone, whatever the batch, and a
 * graph can hold them.
 */
export interface Seeded<C> {
  condition: C;
  noise: Tensor;
}

/** K of {@link noiseAt}. */
const PAIRS = 16;

/**
 * Conditions with their random numbers: a function of (`key`, `firstSample` + i). `shape` is that of one noise value of
 * one sample, for example [] for a number, [d] for an embedding. The noise is the caller's.
 */
export function seeded<C>(
  condition: C,
  key: Key,
  n: number,
  shape: readonly number[] = [],
  firstSample = 0,
): Seeded<C> {
  checkInteger('n', n, 1);
  return { condition, noise: normal(key, [n, 2 * PAIRS, ...shape], firstSample) };
}

// Incommensurable frequencies, in radians a nat: the correlation of the noise at two λ more than a tenth of a nat apart has
// no period and is of the size 1/√(2K) = 0.18.
const frequencies = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53].map((prime) => 8 * Math.sqrt(prime));

/**
 * Standard normal noise at λ, [n, …], for `noise` of {@link seeded}: K^{−1/2} Σ_k (a_k cos ω_k λ + b_k sin ω_k λ).
 *
 * At each λ it is exactly N(0, I); at λ and λ' the correlation is K^{−1} Σ_k cos ω_k (λ − λ'), so steps get
 * different noise, but not wholly independent noise. To be called within a tidy.
 */
export function noiseAt(noise: Tensor, lambda: Tensor1D): Tensor {
  const angle = mul(reshape(lambda, [-1, 1]), tensor1d(frequencies));
  const waves = mul(concat([cos(angle), sin(angle)], 1), PAIRS ** -0.5);
  const [n, count, ...rest] = noise.shape as [number, number, ...number[]];
  return sum(mul(noise, reshape(waves, [n, count, ...rest.map(() => 1)])), 1);
}

/** The conditioning of conditions with random numbers: a sample keeps its own under ∅. */
export const seededConditioning = <C>(conditioning: Conditioning<C>): Conditioning<Seeded<C>> => ({
  drop: ({ condition, noise }, mask) => ({ condition: conditioning.drop(condition, mask), noise }),
  nullCondition: ({ condition, noise }) => ({ condition: conditioning.nullCondition(condition), noise }),
  concat: (a, b) => ({
    condition: conditioning.concat(a.condition, b.condition),
    noise: concat([a.noise, b.noise]),
  }),
});
