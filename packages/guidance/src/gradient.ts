import { type Cost, checkShape, derive, inTurn, type Memory, type Model, scales } from '@logsnr/core';
import { grad, mul, sub, sum, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { checkWhole, variants } from './guide.js';
import { moved } from './rule.js';
import { checkWeight, spread, type Weight, weightAt } from './weight.js';

/** log p(c|z_λ) of each sample up to a constant, [n]; differentiable in z. */
export type LogLikelihood<C> = (z: Tensor, lambda: Tensor1D, condition: C) => Tensor1D;

/**
 * Guidance by a gradient: ε̃ = ε(z, c) − w σ ∇_z log p(c|z), a model that aims at p(z|c) p(c|z)^w. The sum over the batch is
 * differentiated, so each sample must depend on itself alone. Where w is 0 for the whole batch it is the model bit for bit and
 * nothing is differentiated.
 * @param likelihood gets the model, or its variant at a λ, and what it remembers at a call.
 */
export function alongGradient<C>(
  model: Model<C>,
  likelihood: (model: Model<C>, memory: Memory) => LogLikelihood<C>,
  w: Weight,
  gradientCost: (model: Model<C>, lambda: number) => Cost,
): Model<C> {
  checkWeight(w);
  checkWhole(model);
  return derive<[Model<C>], C>([model], ([model]) =>
    variants(
      (weights) => ({
        predict(z, lambda, condition, before) {
          const w = weights(lambda);
          const estimate = model.predict(z, lambda, condition, before);
          if (w === 0) return estimate;
          const slope = slopeOf(likelihood(model, before), z, lambda, condition);
          const pull = mul(mul(scales(z, lambda).sigma, slope), spread(w, z));
          const { variance, memory } = estimate;
          return { ...moved(estimate, 'eps', sub(estimate.eps, pull), estimate.eps, z, lambda), variance, memory };
        },
        cost: (lambda) =>
          weightAt(w, lambda) === 0 ? model.cost(lambda) : inTurn(model.cost(lambda), gradientCost(model, lambda)),
        gives: model.gives,
        start: model.start,
      }),
      w,
    ),
  );
}

/** ∇_z log p(c|z) of each sample, of z's shape. To be called within a tidy. */
export const slopeOf = <C>(likelihood: LogLikelihood<C>, z: Tensor, lambda: Tensor1D, condition: C): Tensor =>
  grad((at: Tensor) => {
    const logs = likelihood(at, lambda, condition);
    checkShape('the log-likelihood', logs, [z.shape[0] ?? null]);
    return sum(logs);
  })(z);
