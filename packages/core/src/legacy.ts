import { add, div, mul, sub, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkShape } from './check.js';
import { alphaSigma } from './log-snr.js';
import { perSample } from './model.js';
import type { Prediction } from './parametrization.js';

/**
 * ε̂ in two parts, for methods that take the data from one estimate and the direction of the noise from another:
 * x̂ = (z − σ `denoise`)/α, and a step renoises with `renoise`, z' = α' x̂ + σ' `renoise`.
 *
 * CFG++ (Chung et al. 2024, arXiv 2406.08070) denoises with the guided ε̂ and renoises with the unconditional one; DDIM
 * with x̂ clipped and ε̂ left as it was denoises with the ε̂ of the clipped x̂ and renoises with the model's.
 */
export interface SplitEps<V = Tensor> {
  denoise: V;
  renoise: V;
}

/**
 * The noise prediction ε_θ(z_λ, c): `z` of shape [n, …], `lambda` of shape [n] (log-SNR in nats, one a sample), and n
 * conditions. Returns ε̂ of z's shape, which the caller owns. Guidance maps ε-models to an ε-model. A plain function is
 * an ε-model; one with `split` gives ε̂ in two parts to the samplers that use them, and the others refuse it.
 */
export interface EpsModel<C> {
  (z: Tensor, lambda: Tensor1D, condition: C): Tensor;
  split?: ((z: Tensor, lambda: Tensor1D, condition: C) => SplitEps) | undefined;
}

/**
 * An ε-model from a model that predicts x, v = α ε − σ x (Salimans & Ho 2022, arXiv 2202.00512), the score, or ε.
 *
 * ε = (z − α x)/σ = σ z + α v = −σ ∇ log p(z). A network that predicts v keeps x̂ = α z − σ v well conditioned at every
 * λ, where x̂ from ε loses all accuracy as α → 0.
 */
export function toEps<C>(model: EpsModel<C>, prediction: Prediction): EpsModel<C> {
  if (prediction === 'eps') return model;
  if (!['x', 'v', 'score'].includes(prediction))
    throw new RangeError(`prediction is "${prediction}"; it must be "eps", "x", "v" or "score".`);
  return (z, lambda, condition) =>
    tidy(() => {
      checkShape('lambda', lambda, [z.shape[0] ?? null]);
      const output = model(z, lambda, condition);
      const scales = alphaSigma(lambda);
      const [alpha, sigma] = [perSample(scales.alpha, z), perSample(scales.sigma, z)];
      if (prediction === 'v') return add(mul(sigma, z), mul(alpha, output));
      if (prediction === 'x') return div(sub(z, mul(alpha, output)), sigma);
      return mul(mul(sigma, -1), output);
    });
}
