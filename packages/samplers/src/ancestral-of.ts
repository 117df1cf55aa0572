import { alphaRatio, checkWithin, combine, sigma, type Value } from '@logsnr/core';
import { isData } from './exact-moves.js';
import type { Sampler } from './sampler.js';

/**
 * A deterministic one-step sampler made ancestral, as in k-diffusion. The inner step ends with less noise than λ' has, and
 * fresh noise makes up for it, so the marginal stays right. In s = σ/α the fresh noise has deviation d = η s' √(1 − e^{λ−λ'}).
 * The inner step ends at s² = s'² − d², which is λ' − ln(1 − η² (1 − e^{λ−λ'})). Around `ddim()` it is `ddim({ eta })`.
 * @param eta η in [0, 1]; 0 is the inner sampler.
 */
export function ancestralOf<S, V extends Value>(
  inner: Sampler<S, V>,
  { eta = 1 }: { eta?: number } = {},
): Sampler<S, V> {
  checkWithin('eta', eta, 0, 1);
  return {
    ...inner,
    name: `ancestralOf(${inner.name}, eta=${eta})`,
    step(context, state) {
      const { from, to, noise } = context;
      if (isData(to) || eta === 0) return inner.step(context, state);
      const removed = eta ** 2 * -Math.expm1(from - to);
      const below = to - Math.log1p(-removed);
      const down = inner.step({ ...context, to: below }, state);
      const next = combine([alphaRatio(below, to), down.z], [sigma(to) * Math.sqrt(removed), noise()]);
      return { z: next, state: down.state };
    },
  };
}
