import { type Conditioning, type Model, type ModelLike, type Predicted, toModel } from '@logsnr/core';
import { add, argMax, cast, mul, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { type ClassifierFreeOptions, twoOf } from './classifier-free.js';
import { type Frame, guide } from './guide.js';
import { noiseAt, type Seeded } from './random.js';
import { extrapolate, moved } from './rule.js';
import type { Weight } from './weight.js';

/**
 * Independent-condition guidance, ICG (Sadat et al. 2024, arXiv 2407.02687): for a model that never learned ∅,
 * ε̃ = ε(z, c) + w (ε(z, c) − ε(z, ĉ)) with a random ĉ, new at each step and independent of z and c.
 * @param random ĉ from standard normal noise of the shape that the conditions were seeded with: {@link uniformLabels}
 *   for labels, `(noise) => noise times the embeddings' deviation` for embeddings.
 * @throws RangeError when w is not finite.
 */
export function independentCondition<C>(
  model: ModelLike<C>,
  { concat }: Pick<Conditioning<C>, 'concat'>,
  random: (noise: Tensor, condition: C) => C,
  w: Weight,
  options: ClassifierFreeOptions = {},
): Model<Seeded<C>> {
  const drawn = randomCondition(random);
  return againstPart(model, concat, w, options, (lambda, own) => ({ lambda, condition: drawn(own, lambda).condition }));
}

/**
 * The random condition ĉ of {@link independentCondition} in the place of each, for a term of `terms` that leads away from it:
 * `terms(withCondition(model, ({ condition }) => condition), seededConditioning(classes), [{ against: { condition: randomCondition(uniformLabels) }, weight }])`.
 */
export const randomCondition =
  <C>(random: (noise: Tensor, condition: C) => C) =>
  ({ condition, noise }: Seeded<C>, lambda: Tensor1D): Seeded<C> => ({
    condition: random(noiseAt(noise, lambda), condition),
    noise,
  });

/** A uniformly random label for each sample from noise [n, classes]: that of the largest value. */
export const uniformLabels = (noise: Tensor): Tensor1D => cast(argMax(noise, 1), 'int32');

/**
 * Time-step guidance, TSG (Sadat et al. 2024, arXiv 2407.02687), which needs no condition:
 * ε̃ = ε(z, λ, c) + w (ε(z, λ, c) − ε(z, λ̃, c)) with a perturbed λ̃.
 *
 * The paper perturbs the embedding of the time step with normal noise; a model shows its λ alone, so here
 * λ̃ = λ + std · n with n ~ N(0, 1), new at each step. The conditions are seeded with numbers, shape [].
 * @param std deviation of λ̃ in nats. 0 is the model up to rounding.
 * @throws RangeError when w is not finite.
 */
export function timeStepGuidance<C>(
  model: ModelLike<C>,
  { concat }: Pick<Conditioning<C>, 'concat'>,
  std: number,
  w: Weight,
  options: ClassifierFreeOptions = {},
): Model<Seeded<C>> {
  const perturbed = (lambda: Tensor1D, { condition, noise }: Seeded<C>) => ({
    lambda: add(lambda, mul(noiseAt(noise, lambda), std)) as Tensor1D,
    condition,
  });
  // The other ε̂ counts as one at λ, so the x̂ that belongs to it is that of z, ε̂ and λ, not of λ̃.
  return againstPart(model, concat, w, options, perturbed, (own, other, z, lambda) => ({
    ...other,
    ...moved(own, 'eps', other.eps, own.eps, z, lambda),
  }));
}

/** The model's prediction against its own for another λ or condition. */
function againstPart<C>(
  model: ModelLike<C>,
  join: Conditioning<C>['concat'],
  w: Weight,
  { evaluation = 'joint', rule = extrapolate }: ClassifierFreeOptions,
  other: (lambda: Tensor1D, condition: Seeded<C>) => { lambda: Tensor1D; condition: C },
  read = (_own: Predicted, made: Predicted, _z: Tensor, _lambda: Tensor1D): Predicted => made,
): Model<Seeded<C>> {
  const frame = (model: Model<C>): Frame<Seeded<C>> => {
    const two = twoOf<C, Seeded<C>>(model, join, evaluation, (lambda, seeded) => [
      { lambda, condition: seeded.condition },
      other(lambda, seeded),
    ]);
    return {
      ...two,
      pair(z, lambda, condition, memories) {
        const [own, made] = two.pair(z, lambda, condition, memories);
        return [own, read(own, made, z, lambda)];
      },
    };
  };
  return guide<[Model<C>], Seeded<C>>([toModel(model)], ([model]) => frame(model), w, rule);
}
