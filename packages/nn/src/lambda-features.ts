import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { waves } from './time-features.js';

/** The slowest and the fastest frequency at which λ is embedded, in radians a nat. */
export const lambdaFrequencies = { low: 1 / 16, high: 8 } as const;

/**
 * Sines and cosines of λ: [n] → [n, size], sin(ω_k λ) for k < size/2, then cos(ω_k λ). The ω are geometric from 1/16 to 8
 * radians a nat. The slowest sine has a period of 100 nats, so it is monotone on [−20, 20] and tells all λ there apart. The
 * fastest has a period of 0.8 and resolves hundredths of a nat.
 *
 * The form is that of Vaswani et al. 2017 (arXiv 1706.03762, section 3.5) with λ for the position. So a network does not
 * depend on the time of any one schedule.
 */
export function lambdaFeatures(lambda: Tensor1D, size: number): Tensor2D {
  const { low, high } = lambdaFrequencies;
  const count = size / 2;
  const omega = Array.from({ length: count }, (_, k) => low * (high / low) ** (count > 1 ? k / (count - 1) : 0));
  return waves(lambda, omega, 'sin');
}
