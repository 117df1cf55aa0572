import { combine, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { epsMove, isData } from './exact-moves.js';
import type { Predict, Sampler } from './sampler.js';

/** How many steps begin with the pseudo Runge–Kutta method. */
const WARM_UP = 3;

/**
 * PNDM (Liu et al. 2022, arXiv 2202.09778, Algorithm 2, "F-PNDM"): the transfer of DDIM, z' = (α'/α) z + α' (s' − s) e, with
 * e from the linear multistep method of fixed coefficients, (55 e₀ − 59 e₁ + 37 e₂ − 9 e₃)/24. The first three steps take
 * e from the pseudo Runge–Kutta method (e₁ + 2 e₂ + 2 e₃ + e₄)/6, with the middle of a step in λ; a step to λ' = +∞ among
 * them is x̂. The coefficients are those of equal steps: take a grid near to uniform in λ.
 */
export function pndm<V extends Value = Tensor>(): Sampler<{ past: readonly V[] }, V> {
  return {
    name: 'pndm',
    order: 2,
    calls: (index, points) => (index < WARM_UP && !isData(points[index + 1]) ? 4 : 1),
    init: () => ({ past: [] }),
    step({ predict, z, from, to }, { past }) {
      const { x, eps: first } = predict(z, from);
      const [e1, e2, e3] = past;
      const moved = (e: V) => transfer(z, e, from, to);
      const state = { past: [first, ...past].slice(0, WARM_UP) };
      if (e1 && e2 && e3)
        return { z: moved(combine([55 / 24, first], [-59 / 24, e1], [37 / 24, e2], [-9 / 24, e3])), state };
      return { z: isData(to) ? combine([1, x]) : moved(rungeKutta(predict, z, first, from, to)), state };
    },
  };
}

const transfer = <V extends Value>(z: V, e: V, from: number, to: number): V => {
  const move = epsMove(from, to);
  return combine([move.z, z], [move.eps, e]);
};

function rungeKutta<V extends Value>(predict: Predict<V>, z: V, first: V, from: number, to: number): V {
  const middle = (from + to) / 2;
  const eps = (at: V, lambda: number) => predict(at, lambda).eps;
  const second = eps(transfer(z, first, from, middle), middle);
  const third = eps(transfer(z, second, from, middle), middle);
  const fourth = eps(transfer(z, third, from, to), to);
  return combine([1 / 6, first], [1 / 3, second], [1 / 3, third], [1 / 6, fourth]);
}
