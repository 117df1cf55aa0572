import { checkInteger, checkShape, type Model, type ModelLike, toModel, withCondition } from '@logsnr/core';
import {
  add,
  avgPool,
  mul,
  neg,
  sqrt,
  squaredDifference,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';
import { alongGradient } from './gradient.js';
import { within } from './norms.js';
import type { Weight } from './weight.js';

/** n conditions and what was measured of each of the n samples. */
export interface Measured<C> {
  condition: C;
  measurement: Tensor;
}

/** What a measurement takes of x [n, …]; differentiable. */
export type Operator = (x: Tensor) => Tensor;

/**
 * Diffusion posterior sampling, limited to noiseless or Gaussian measurements y ≈ A(x) (Chung et al. 2022, arXiv 2209.14687,
 * eq. 16): the likelihood of z is taken to be that of its x̂(z) = (z − σ ε(z))/α, so
 * ε̃ = ε + w σ ∇_z ‖y − A(x̂(z))‖². Measurement noise of deviation s means w = 1/(2 s²). With `normalized` (the paper's
 * algorithm 1, whose step is ζ'/‖y − A(x̂)‖) the norm is differentiated instead of its square.
 *
 * It differentiates through the model: a call with a backward pass, and the model's own call beside it. `Measured`
 * conditions carry y, so a run may be split into batches.
 * @throws RangeError when w is not finite, or A(x̂) and the measurement differ in shape.
 */
export function posteriorSampling<C>(
  model: ModelLike<C>,
  operator: Operator,
  w: Weight,
  { normalized = false }: { normalized?: boolean | undefined } = {},
): Model<Measured<C>> {
  const plain = withCondition<C, Measured<C>>(toModel(model), ({ condition }) => condition);
  return alongGradient(
    plain,
    (model, memory) => (z, lambda, measured) => {
      const { measurement } = measured;
      const seen = operator(model.predict(z, lambda, measured, memory).x);
      checkShape('A(x̂)', seen, measurement.shape);
      const square = sum(squaredDifference(seen, measurement), within(seen)) as Tensor1D;
      // The root has no slope at 0, where there is nothing left to correct.
      return neg(normalized ? sqrt(add(square, 1e-24)) : square) as Tensor1D;
    },
    w,
    (model, lambda) => {
      const cost = model.cost(lambda);
      return { ...cost, gradients: cost.gradients + cost.calls };
    },
  );
}

/** A for inpainting: the pixels where `mask` (broadcast to x) is 1. */
export const inpainting =
  (mask: Tensor): Operator =>
  (x) =>
    mul(x, mask);

/** A for super-resolution by a model without a condition on it: means of squares of `factor` × `factor` pixels of [n, h, w, c]. */
export function averagePooling(factor: number): Operator {
  checkInteger('factor', factor, 1);
  return (x) => avgPool(x as Tensor4D, factor, factor, 'valid');
}
