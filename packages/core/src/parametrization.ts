import { checkChoice } from './check.js';
import { alpha, sigma } from './log-snr.js';

/** What a model may predict: the noise ε, the data x, the velocity v = α ε − σ x, or the score ∇ log p(z) = −ε/σ. */
export type Prediction = 'eps' | 'x' | 'v' | 'score';

/** Throws a `RangeError` on an unknown prediction. */
export const checkPrediction = (prediction: Prediction): void =>
  checkChoice('prediction', prediction, ['eps', 'x', 'v', 'score']);

/**
 * The coefficients that turn one prediction at log-SNR λ into another: target = `z` · z_λ + `output` · prediction.
 *
 * From z = α x + σ ε, v = α ε − σ x (Salimans & Ho 2022, arXiv 2202.00512, appendix D) and score = −ε/σ. Each pair has
 * its own closed form, so none passes through another that is ill conditioned at that λ.
 * @throws RangeError on an unknown prediction.
 */
export function convert(from: Prediction, to: Prediction, lambda: number): { z: number; output: number } {
  const [a, s] = [alpha(lambda), sigma(lambda)];
  const table: Record<Prediction, Record<Prediction, [z: number, output: number]>> = {
    eps: { eps: [0, 1], x: [1 / a, -s / a], v: [-s / a, 1 / a], score: [0, -1 / s] },
    x: { eps: [1 / s, -a / s], x: [0, 1], v: [a / s, -1 / s], score: [-1 / s ** 2, a / s ** 2] },
    v: { eps: [s, a], x: [a, -s], v: [0, 1], score: [-1, -a / s] },
    score: { eps: [0, -s], x: [1 / a, s ** 2 / a], v: [-s / a, -s / a], score: [0, 1] },
  };
  const entry = table[from]?.[to];
  if (!entry) throw new RangeError(`cannot convert "${from}" to "${to}"; predictions are "eps", "x", "v" and "score".`);
  return { z: entry[0], output: entry[1] };
}
