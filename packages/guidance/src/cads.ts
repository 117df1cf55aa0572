import { checkNotNegative, checkWithin, type Model, type ModelLike, toModel, withCondition } from '@logsnr/core';
import {
  add,
  clipByValue,
  divNoNan,
  moments,
  mul,
  reshape,
  sqrt,
  sub,
  type Tensor,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import { noiseAt, type Seeded } from './random.js';
import { times } from './weight.js';

export interface CadsOptions {
  /** s, the size of the noise. 0 is the model bit for bit. */
  scale: number;
  /** τ_1 < τ_2 in [0, 1]: the condition is whole at t up to τ_1 and pure noise from τ_2 on. */
  from?: number | undefined;
  to?: number | undefined;
  /** ψ in [0, 1]: how much of the noised condition is brought back to the mean and deviation that it had. */
  mixing?: number | undefined;
}

/**
 * Condition-annealed sampling, CADS (Sadat et al. 2023, arXiv 2310.17347): more diverse samples from
 * a condition that is noised where z is. For conditions that are vectors [n, d], such as embeddings:
 * ĉ = √γ c + s √(1 − γ) n, n ~ N(0, I), with γ falling from 1 at t = τ_1 to 0 at τ_2 on a straight line; then
 * c̃ = (ĉ − mean ĉ)/std ĉ · std c + mean c over a vector, and ψ c̃ + (1 − ψ) ĉ is the condition.
 *
 * t = (2/π) arctan e^{−λ/2}, as in `rising`. Wrap the model with it before guidance: ∅ is not noised when the guidance
 * drops conditions of the inner model, and is noised like c when guidance goes around the seeded conditions.
 * @throws RangeError on options out of range.
 */
export function cads(
  model: ModelLike<Tensor2D>,
  { scale, from = 0.6, to = 0.9, mixing = 1 }: CadsOptions,
): Model<Seeded<Tensor2D>> {
  checkNotNegative('scale', scale);
  checkWithin('to', to, 0, 1);
  checkWithin('from', from, 0, to);
  checkWithin('mixing', mixing, 0, 1);
  if (from === to) throw new RangeError(`from and to are both ${from}; from must be below to.`);
  return withCondition<Tensor2D, Seeded<Tensor2D>>(toModel(model), ({ condition, noise }, _, lambda) => {
    if (scale === 0) return condition;
    const kept = reshape(clipByValue(mul(sub(to, times(lambda)), 1 / (to - from)), 0, 1), [-1, 1]);
    const drawn = mul(noiseAt(noise, lambda), mul(sqrt(sub(1, kept)), scale));
    return mixed(add(mul(sqrt(kept), condition), drawn), condition, mixing);
  });
}

/** ψ c̃ + (1 − ψ) ĉ. */
function mixed(annealed: Tensor, condition: Tensor2D, mixing: number): Tensor2D {
  if (mixing === 0) return annealed as Tensor2D;
  const [after, before] = [moments(annealed, 1, true), moments(condition, 1, true)];
  const unit = divNoNan(sub(annealed, after.mean), sqrt(after.variance));
  const restored = add(mul(unit, sqrt(before.variance)), before.mean);
  return add(mul(restored, mixing), mul(annealed, 1 - mixing)) as Tensor2D;
}
