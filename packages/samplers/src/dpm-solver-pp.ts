import { alpha, checkNotNegative, combine, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { dataMove, isData, renoisedData } from './exact-moves.js';
import { adamsBashforth, type Past } from './multistep.js';
import type { Sampler } from './sampler.js';

/**
 * DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, Algorithm 1, r = ½): the exact move to the middle of the step with x̂ at
 * λ, then the exact move of the whole step with x̂ at the middle. At λ' = +∞ it is x̂.
 *
 * Where the model gives a second ε̂ to renoise with, it is the authors' CFG++ (arXiv 2406.08070, "dpm++_2s_a_cfg++" of their
 * code without its noise). Let x̂_∅ be the data of that ε̂. The move to the middle takes x̂_∅, and
 * z' = α' (x̂(z_m) + e^{−h} (z/α − x̂_∅(z_m))), h = (λ' − λ)/2.
 * @param eta η ≥ 0: 0 is the flow; 1 the reverse SDE, whose noise up to the middle is part of that of the whole step.
 */
export function dpmSolverPP2S<V extends Value = Tensor>({ eta = 0 }: { eta?: number } = {}): Sampler<null, V> {
  checkNotNegative('eta', eta);
  return {
    name: eta === 0 ? 'dpmSolverPP2S' : `dpmSolverPP2S(eta=${eta})`,
    order: 2,
    renoises: true,
    calls: (index, points) => (isData(points[index + 1]) ? 1 : 2),
    init: () => null,
    step({ predict, z, from, to, noise }, state) {
      const start = predict(z, from);
      if (isData(to)) return { z: combine([1, start.x]), state };
      const middle = (from + to) / 2;
      const [half, rest, whole] = [dataMove(from, middle, eta), dataMove(middle, to, eta), dataMove(from, to, eta)];
      const [first, second] = eta > 0 ? [noise(), noise()] : [];
      const scaled = (scale: number, n: V | undefined): [number, V][] => (n ? [[scale, n]] : []);
      const between = combine([half.z, z], [half.x, renoisedData(start, from)], ...scaled(half.noise, first));
      const later = predict(between, middle);
      const terms: [number, V][] = [[whole.z, z]];
      if (!later.renoise) terms.push([whole.x, later.x]);
      else terms.push([alpha(to), later.x], [whole.x - alpha(to), renoisedData(later, middle)]);
      return {
        z: combine(...terms, ...scaled(rest.z * half.noise, first), ...scaled(rest.noise, second)),
        state,
      };
    },
  };
}

/**
 * DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2), the midpoint form: the exact move with
 * x̃ = x̂ + (x̂ − x̂_before)/(2r), r = (λ − λ_before)/(λ' − λ). The first step and the one to λ' = +∞ take x̂ alone.
 *
 * Where the model gives a second ε̂ to renoise with (CFG++, arXiv 2406.08070), x̃ is made of its data x̂_∅, and α' (x̂ − x̂_∅) is
 * added. The authors' code "dpm++_2m_cfg++" is another method: it extrapolates with x̂ − x̂_∅,before, where this one takes
 * x̂_∅ − x̂_∅,before. Their difference does not vanish as steps become short, so theirs has order 1.
 * @param eta η ≥ 0: 0 is the flow; 1 the reverse SDE, SDE-DPM-Solver++(2M).
 * @param lowerOrderFinal take x̂ alone in the last step also when it ends at a finite λ.
 */
export function dpmSolverPP2M<V extends Value = Tensor>({
  eta = 0,
  lowerOrderFinal = false,
}: {
  eta?: number;
  lowerOrderFinal?: boolean;
} = {}): Sampler<{ past: Past<V> }, V> {
  checkNotNegative('eta', eta);
  return {
    name: eta === 0 ? 'dpmSolverPP2M' : `dpmSolverPP2M(eta=${eta})`,
    order: 2,
    renoises: true,
    calls: () => 1,
    init: () => ({ past: [] }),
    step({ predict, z, from, to, index, points, noise }, { past }) {
      const estimate = predict(z, from);
      const x = renoisedData(estimate, from);
      const move = dataMove(from, to, eta);
      const [before] = isData(to) || (lowerOrderFinal && index === points.length - 2) ? [] : past;
      const half = before ? (to - from) / (from - before.lambda) / 2 : 0;
      const terms: [number, V][] = [
        [move.z, z],
        [move.x * (1 + half), x],
      ];
      if (before) terms.push([-move.x * half, before.value]);
      if (estimate.renoise) terms.push([alpha(to), estimate.x], [-alpha(to), x]);
      if (move.noise > 0) terms.push([move.noise, noise()]);
      return { z: combine(...terms), state: { past: [{ lambda: from, value: x }] } };
    },
  };
}

/**
 * DPM-Solver++(3M): x̂ a parabola in λ, integrated exactly, so `exponentialAB({ order: 3 })`. (The published code takes
 * half of the second difference's weight, which leaves order 2.) The step to λ' = +∞ takes x̂ alone.
 * @param eta η ≥ 0: 0 is the flow; 1 the reverse SDE, SDE-DPM-Solver++(3M).
 */
export function dpmSolverPP3M<V extends Value = Tensor>({
  eta = 0,
}: {
  eta?: number;
} = {}): Sampler<{ past: Past<V> }, V> {
  checkNotNegative('eta', eta);
  const name = eta === 0 ? 'dpmSolverPP3M' : `dpmSolverPP3M(eta=${eta})`;
  return adamsBashforth({ name, order: 3, prediction: 'x', eta });
}
