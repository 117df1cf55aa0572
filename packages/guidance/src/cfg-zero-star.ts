import {
  type Cost,
  checkChoice,
  defineModel,
  derive,
  type Model,
  type ModelLike,
  perSample,
  scales,
  toModel,
} from '@logsnr/core';
import { add, divNoNan, lessEqual, mul, sub, type Tensor, type Tensor1D, where } from '@tensorflow/tfjs-core';
import { inner } from './norms.js';
import type { Rule } from './rule.js';

/**
 * CFG-Zero* (Fan et al. 2025, arXiv 2503.18886): ṽ = (1 + w) v_c − w s v_∅ with the optimized scale s = ⟨v_c, v_∅⟩/‖v_∅‖² of each
 * sample, which takes out what v_∅ gets wrong in its length; s = 0 where v_∅ is 0. Its other part is {@link zeroInit}.
 *
 * @param prediction the prediction whose lengths are compared: `flow` is the paper's, the velocity ε − x of flow matching; v = α ε − σ x is
 *   the velocity of the variance-preserving process, which differs by a factor and a multiple of z, and so does s; or ε.
 */
export function cfgZeroStar({ prediction = 'v' }: { prediction?: 'v' | 'flow' | 'eps' | undefined } = {}): Rule {
  checkChoice('prediction', prediction, ['v', 'flow', 'eps']);
  return {
    acts: prediction,
    combine({ conditional, unconditional, w }) {
      const scale = divNoNan(inner(conditional, unconditional), inner(unconditional, unconditional));
      return add(conditional, mul(sub(conditional, mul(unconditional, scale)), w));
    },
  };
}

const NO_CALL: Cost = { calls: 0, evaluations: 0, batch: 0, gradients: 0 };

/**
 * "Zero-init" (Fan et al. 2025, arXiv 2503.18886): at log-SNR up to `upTo` (in nats) the velocity is 0, so x̂ = α z and ε̂ = σ z; the
 * model, guided or not, is not asked there where λ is known beforehand.
 */
export function zeroInit<C>(model: ModelLike<C>, upTo: number): Model<C> {
  if (Number.isNaN(upTo)) throw new RangeError('upTo is NaN; it must be a log-SNR in nats.');
  return derive<[Model<C>], C>([toModel(model)], ([inner]) => {
    const { gives, start } = inner;
    const still = (z: Tensor, lambda: Tensor1D) => {
      const { alpha, sigma } = scales(z, lambda);
      return { x: mul(alpha, z), eps: mul(sigma, z) };
    };
    const resting = defineModel<C>({
      predict(z, lambda, _, memory) {
        const { x, eps } = still(z, lambda);
        return { x, eps, renoise: gives.renoise ? eps : null, variance: gives.variance ? mul(z, 0) : null, memory };
      },
      cost: () => NO_CALL,
      gives,
      start,
    });
    return {
      predict(z, lambda, condition, before) {
        const { x, eps, renoise, variance, memory } = inner.predict(z, lambda, condition, before);
        const rests = perSample(lessEqual(lambda, Math.max(-3e38, Math.min(upTo, 3e38))), z);
        const rest = still(z, lambda);
        return {
          x: where(rests, rest.x, x),
          eps: where(rests, rest.eps, eps),
          renoise: renoise && where(rests, rest.eps, renoise),
          variance,
          memory,
        };
      },
      cost: (lambda) => (lambda <= upTo ? NO_CALL : inner.cost(lambda)),
      gives,
      start,
      at: (lambda) => (lambda <= upTo ? resting : inner.at(lambda)),
    };
  });
}
