import { alphaSigma, type Conditioning, checkShape, type EpsModel, perSample } from '@logsnr/core';
import {
  add,
  mean,
  mul,
  type Scalar,
  squaredDifference,
  type Tensor,
  type Tensor1D,
  tidy,
} from '@tensorflow/tfjs-core';

/** What one evaluation of the objective needs; everything random in it was drawn before. n samples. */
export interface DiffusionLossInputs<C> {
  /** ε_θ. */
  readonly model: EpsModel<C>;
  readonly conditioning: Conditioning<C>;
  /** The data, [n, …]. */
  readonly x: Tensor;
  /** n conditions. */
  readonly condition: C;
  /** Log-SNR of each sample in nats, [n]. */
  readonly lambda: Tensor1D;
  /** Standard normal noise of x's shape. */
  readonly eps: Tensor;
  /** [n]: 1 where the condition gives way to ∅, else 0. */
  readonly dropped: Tensor1D;
}

/**
 * The objective of classifier-free guidance's training, Algorithm 1 of Ho & Salimans 2022 (arXiv 2207.12598), lines 3–7:
 * c ← ∅ where `dropped`; z_λ = α_λ x + σ_λ ε; the mean over all elements of ‖ε_θ(z_λ, λ, c) − ε‖².
 *
 * Differentiable in the model's parameters and free of draws and reads, so that a compiler can take it as a graph.
 * @returns a scalar that the caller owns.
 * @throws RangeError when `eps`, `lambda` or `dropped` do not fit `x`, or the model's output does not.
 */
export function diffusionLoss<C>(inputs: DiffusionLossInputs<C>): Scalar {
  const { model, conditioning, x, condition, lambda, eps, dropped } = inputs;
  checkShape('eps', eps, x.shape);
  checkShape('lambda', lambda, [x.shape[0] ?? null]);
  checkShape('dropped', dropped, [x.shape[0] ?? null]);
  return tidy(() => {
    const c = conditioning.drop(condition, dropped); // line 3
    const { alpha, sigma } = alphaSigma(lambda); // line 4 drew λ, line 5 ε
    const z = add(mul(perSample(alpha, x), x), mul(perSample(sigma, x), eps)); // line 6
    const predicted = model(z, lambda, c);
    checkShape("the model's output", predicted, x.shape);
    return mean(squaredDifference(predicted, eps)) as Scalar; // line 7
  });
}
