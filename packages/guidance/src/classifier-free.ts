import { type Conditioning, checkFinite, checkShape, combine, type EpsModel, perSample } from '@logsnr/core';
import { add, concat, mul, split, sub, type Tensor, type Tensor1D, tensor1d, tidy } from '@tensorflow/tfjs-core';

/** The guidance weight: a constant, or a function of λ in nats. 0 is no guidance. */
export type Weight = number | ((lambda: number) => number);

export interface ClassifierFreeOptions {
  /**
   * `joint` (default) evaluates conditional and unconditional as one batch of 2n: half the calls. `split` evaluates
   * them one after the other: half the memory. The numbers are the same.
   */
  evaluation?: 'joint' | 'split';
}

/**
 * Classifier-free guidance: ε̃(z, c) = (1 + w) ε(z, c) − w ε(z, ∅) (Ho & Salimans 2022, eq. 6), an ε-model again.
 *
 * Samples from p̃(z|c) ∝ p(z|c) · p(c|z)^w, with the implicit classifier p(c|z) ∝ p(z|c)/p(z).
 * Where w is 0 for the whole batch, ∅ is not evaluated and the result is ε(z, c) bit for bit.
 * @param w the paper's weight (w = s − 1 for the "guidance scale" s of other libraries). As a function of λ it is
 *   evaluated once a sample.
 * @throws RangeError when w is not finite.
 */
export function classifierFree<C>(
  model: EpsModel<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  { evaluation = 'joint' }: ClassifierFreeOptions = {},
): EpsModel<C> {
  if (typeof w !== 'function') checkFinite('w', w);
  if (evaluation !== 'joint' && evaluation !== 'split')
    throw new RangeError(`evaluation is "${evaluation}"; it must be "joint" or "split".`);
  return (z, lambda, condition) => {
    checkShape('lambda', lambda, [z.shape[0] ?? null]);
    const weights = typeof w === 'number' ? w : weightsAt(w, lambda);
    if (weights === 0) return model(z, lambda, condition);
    return tidy(() => {
      const [conditional, unconditional] =
        evaluation === 'joint'
          ? jointly(model, conditioning, z, lambda, condition)
          : [model(z, lambda, condition), model(z, lambda, conditioning.none(condition))];
      if (typeof weights === 'number') return combine([1 + weights, conditional], [-weights, unconditional]);
      const perRow = perSample(tensor1d(weights), z);
      return sub(mul(add(perRow, 1), conditional), mul(perRow, unconditional));
    });
  };
}

function jointly<C>(model: EpsModel<C>, { none, concat: join }: Conditioning<C>, z: Tensor, lambda: Tensor1D, c: C) {
  const both = model(concat([z, z]), concat([lambda, lambda]), join(c, none(c)));
  return split(both, 2) as [Tensor, Tensor];
}

/** w(λ) of each sample, or the one number that they share. */
function weightsAt(w: (lambda: number) => number, lambda: Tensor1D): number | Float32Array {
  const weights = Float32Array.from(lambda.dataSync(), (value) => {
    const weight = w(value);
    checkFinite(`w(${value})`, weight);
    return weight;
  });
  const first = weights[0] ?? 0;
  return weights.every((weight) => weight === first) ? first : weights;
}

/** The paper's w from the "guidance scale" s = 1 + w of other libraries, in which s = 1 is no guidance. */
export function fromScale(s: number): number {
  checkFinite('s', s);
  return s - 1;
}
