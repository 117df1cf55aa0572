import {
  alphaSigma,
  type Cost,
  type Costed,
  checkShape,
  costAt,
  type EpsModel,
  inTurn,
  perSample,
  withCost,
} from '@logsnr/core';
import { grad, mul, sub, sum, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkWhole } from './guide.js';
import { checkWeight, type Weight, weightAt, weightsAt } from './weight.js';

/** log p(c|z_λ) of each sample up to a constant, [n]; differentiable in z. */
export type LogLikelihood<C> = (z: Tensor, lambda: Tensor1D, condition: C) => Tensor1D;

/**
 * Guidance by a gradient: ε̃ = ε(z, c) − w σ ∇_z log p(c|z), an ε-model that samples from p(z|c) p(c|z)^w. The sum over
 * the batch is differentiated, so each sample must depend on itself alone. Where w is 0 for the whole batch it is the
 * model bit for bit and nothing is differentiated.
 */
export function alongGradient<C>(
  model: EpsModel<C>,
  logLikelihood: LogLikelihood<C>,
  w: Weight,
  gradientCost: (lambda: number) => Cost,
): Costed<C> {
  checkWeight(w);
  checkWhole(model);
  const guided: EpsModel<C> = (z, lambda, condition) => {
    checkShape('lambda', lambda, [z.shape[0] ?? null]);
    return tidy(() => {
      const weights = weightsAt(w, lambda);
      const eps = model(z, lambda, condition);
      if (weights === 0) return eps;
      const slope = grad((at: Tensor) => {
        const logs = logLikelihood(at, lambda, condition);
        checkShape('the log-likelihood', logs, [z.shape[0] ?? null]);
        return sum(logs);
      })(z);
      const { sigma } = alphaSigma(lambda);
      return sub(
        eps,
        mul(mul(perSample(sigma, z), slope), typeof weights === 'number' ? weights : perSample(weights, z)),
      );
    });
  };
  return withCost(guided, (lambda) =>
    weightAt(w, lambda) === 0 ? costAt(model, lambda) : inTurn(costAt(model, lambda), gradientCost(lambda)),
  );
}
