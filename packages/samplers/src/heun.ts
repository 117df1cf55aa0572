import { combine, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { epsMove, isData } from './exact-moves.js';
import type { Sampler } from './sampler.js';

/**
 * Heun's method on dy/ds = ε, y = z/α, s = σ/α = e^{−λ/2} (Karras et al. 2022, arXiv 2206.00364, Algorithm 1):
 * ỹ = y + (s' − s) ε(y, s), then y' = y + (s' − s) (ε(y, s) + ε(ỹ, s'))/2; at λ' = +∞ the first line alone, which is x̂.
 */
export function heun<V extends Value = Tensor>(): Sampler<null, V> {
  return {
    name: 'heun',
    order: 2,
    calls: (step, points) => (isData(points[step]) ? 1 : 2),
    init: () => null,
    step(eps, z, from, to, state) {
      const move = epsMove(from, to);
      const first = eps(z, from);
      const euler = combine([move.z, z], [move.eps, first]);
      if (isData(to)) return { z: euler, state };
      return { z: combine([move.z, z], [move.eps / 2, first], [move.eps / 2, eps(euler, to)]), state };
    },
  };
}
