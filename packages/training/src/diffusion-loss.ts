import {
  alphaSigma,
  type Conditioning,
  checkPrediction,
  checkShape,
  diffuse,
  type EpsFunction,
  type Prediction,
  perSample,
} from '@logsnr/core';
import {
  add,
  div,
  exp,
  mean,
  mul,
  type Scalar,
  square,
  squaredDifference,
  sub,
  type Tensor,
  type Tensor1D,
  tidy,
} from '@tensorflow/tfjs-core';

/** What one evaluation of the objective needs; everything random in it was drawn before. n samples. */
export interface DiffusionLossInputs<C> {
  /** The raw output of the network: ε_θ, or with `prediction` something else. */
  readonly model: EpsFunction<C>;
  /** What the model's output stands for: "eps" unless given. */
  readonly prediction?: Prediction | undefined;
  readonly conditioning: Conditioning<C>;
  /** The data, [n, …]. */
  readonly x: Tensor;
  /** n conditions. */
  readonly condition: C;
  /** Log-SNR of each sample in nats, [n]. */
  readonly lambda: Tensor1D;
  /** Standard normal noise of x's shape. */
  readonly eps: Tensor;
  /** The x̂ and ε̂ to learn at z_λ, where they are not x and ε themselves: those of a teacher. */
  readonly target?: ((z: Tensor, lambda: Tensor1D, condition: C) => { x: Tensor; eps: Tensor }) | undefined;
  /** [n]: 1 where the condition gives way to ∅, else 0. Without it none does, and there may be no ∅. */
  readonly dropped?: Tensor1D | undefined;
  /** [n]: weights on ‖ε̂ − ε‖²; see `LossWeight`. 1 unless given. */
  readonly weight?: Tensor1D | undefined;
  /** [n]: the logarithm u of each sample's expected loss L, as it is learned: the loss is then mean(L/e^u + u). */
  readonly logVariance?: Tensor1D | undefined;
}

/**
 * The objective of classifier-free guidance's training, Algorithm 1 of Ho & Salimans 2022 (arXiv 2207.12598), lines
 * 3–7: c ← ∅ where `dropped`; z_λ = α_λ x + σ_λ ε; the mean over all elements of weight · ‖ε_θ(z_λ, λ, c) − ε‖².
 *
 * For another prediction it is the same number, computed as an error of what is predicted: ε̂ − ε = α (v̂ − v) =
 * −(α/σ)(x̂ − x) = −σ (ŝ − s) with s the score. Taken through ε̂ it would lose its digits where these factors are
 * small.
 *
 * Differentiable in the model's parameters and free of draws and reads, so that a compiler can take it as a graph.
 * @returns a scalar that the caller owns.
 * @throws RangeError when `eps`, `lambda`, `dropped` or `weight` do not fit `x`, or the model's output does not.
 */
export function diffusionLoss<C>(inputs: DiffusionLossInputs<C>): Scalar {
  const { model, prediction = 'eps', conditioning, x, condition, lambda, eps, dropped, weight, logVariance } = inputs;
  const { target: learned } = inputs;
  checkPrediction(prediction);
  const n = x.shape[0] ?? null;
  checkShape('eps', eps, x.shape);
  checkShape('lambda', lambda, [n]);
  if (dropped) checkShape('dropped', dropped, [n]);
  if (weight) checkShape('weight', weight, [n]);
  if (logVariance) checkShape('logVariance', logVariance, [n]);
  return tidy(() => {
    const c = dropped ? conditioning.drop(condition, dropped) : condition; // line 3
    const z = diffuse(x, eps, lambda); // line 4 drew λ, line 5 ε; line 6
    const predicted = model(z, lambda, c);
    checkShape("the model's output", predicted, x.shape);
    const wanted = learned?.(z, lambda, c) ?? { x, eps };
    const { target, scale } = targetOf(prediction, wanted.x, wanted.eps, lambda);
    const factor = scale && weight ? mul(scale, weight) : (scale ?? weight);
    const squared = squaredDifference(predicted, target); // line 7
    if (!logVariance) return mean(factor ? mul(perSample(factor as Tensor1D, x), squared) : squared) as Scalar;
    const each = mean(
      squared,
      x.shape.slice(1).map((_, i) => i + 1),
    );
    const losses = factor ? mul(each, factor) : each;
    return mean(add(div(losses, exp(logVariance)), logVariance)) as Scalar;
  });
}

/**
 * What the output should be, and what its squared error is multiplied by to be ‖ε̂ − ε‖²: [n], or 1 where it is
 * undefined.
 */
function targetOf(
  prediction: Prediction,
  x: Tensor,
  eps: Tensor,
  lambda: Tensor1D,
): { target: Tensor; scale?: Tensor1D } {
  const { alpha, sigma } = alphaSigma(lambda);
  const [a, s] = [perSample(alpha, x), perSample(sigma, x)];
  switch (prediction) {
    case 'eps':
      return { target: eps };
    case 'x':
      return { target: x, scale: exp(lambda) };
    case 'v':
      return { target: sub(mul(a, eps), mul(s, x)), scale: square(alpha) };
    case 'score':
      return { target: div(mul(eps, -1), s), scale: square(sigma) };
  }
}
