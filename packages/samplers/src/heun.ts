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
    calls: (index, points) => (isData(points[index + 1]) ? 1 : 2),
    init: () => null,
    step({ predict, z, from, to }, state) {
      const { x, eps } = predict(z, from);
      if (isData(to)) return { z: combine([1, x]), state };
      const move = epsMove(from, to);
      const euler = combine([move.z, z], [move.eps, eps]);
      return { z: combine([move.z, z], [move.eps / 2, eps], [move.eps / 2, predict(euler, to).eps]), state };
    },
  };
}
