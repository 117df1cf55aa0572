import { checkWithin, combine, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { epsMove, isData } from './exact-moves.js';
import type { Sampler } from './sampler.js';

/**
 * DPM-Solver-2 (Lu et al. 2022, arXiv 2206.00927): with u the exact move with ε to λ + r (λ' − λ),
 * z' = (α'/α) z + α' (s' − s) ((1 − 1/(2r)) ε + ε(u)/(2r)); at λ' = +∞ it is x̂.
 * @param r where u lies, in (0, 1]; ½ is the midpoint in λ.
 */
export function dpmSolver2<V extends Value = Tensor>({ r = 0.5 }: { r?: number } = {}): Sampler<null, V> {
  checkWithin('r', r, Number.MIN_VALUE, 1);
  return {
    name: r === 0.5 ? 'dpmSolver2' : `dpmSolver2(r=${r})`,
    order: 2,
    calls: (index, points) => (isData(points[index + 1]) ? 1 : 2),
    init: () => null,
    step({ predict, z, from, to }, state) {
      const { x, eps: first } = predict(z, from);
      if (isData(to)) return { z: combine([1, x]), state };
      const whole = epsMove(from, to);
      const middle = from + r * (to - from);
      const part = epsMove(from, middle);
      const second = predict(combine([part.z, z], [part.eps, first]), middle).eps;
      const share = 1 / (2 * r);
      return {
        z: combine([whole.z, z], [whole.eps * (1 - share), first], [whole.eps * share, second]),
        state,
      };
    },
  };
}
