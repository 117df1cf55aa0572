import { alphaRatio, checkWithin, combine, sigma, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { dataFrom, dataMove, isData } from './exact-moves.js';
import { adamsBashforth, type Past } from './multistep.js';
import { type Sampler, splitOf } from './sampler.js';

/**
 * DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, Algorithm 1, r = ½): x̂ at λ and at the middle of the step, and the
 * exact move with x̂ of the middle; at λ' = +∞ it is x̂. With ε̂ in two parts, CFG++ (arXiv 2406.08070, appendix): z is
 * first renoised, z + σ (ε̂_renoise − ε̂_denoise), then ε̂_denoise serves.
 * @param eta η ≥ 0: 0 is the flow; 1 the reverse SDE, whose noise up to the middle is part of that of the whole step.
 */
export function dpmSolverPP2S<V extends Value = Tensor>({ eta = 0 }: { eta?: number } = {}): Sampler<null, V> {
  checkWithin('eta', eta, 0, Number.MAX_VALUE);
  return {
    name: eta === 0 ? 'dpmSolverPP2S' : `dpmSolverPP2S(eta=${eta})`,
    order: 2,
    splits: true,
    calls: (step, points) => (isData(points[step]) ? 1 : 2),
    init: () => null,
    step(eps, z, from, to, state, noise) {
      const { denoise, renoise } = splitOf(eps, z, from);
      const x = dataFrom(denoise, z, from);
      if (isData(to)) return { z: x, state };
      const start = denoise === renoise ? z : combine([1, z], [sigma(from), renoise], [-sigma(from), denoise]);
      const middle = (from + to) / 2;
      const [half, rest, whole] = [dataMove(from, middle, eta), dataMove(middle, to, eta), dataMove(from, to, eta)];
      const [first, second] = eta > 0 ? [noise(), noise()] : [];
      const scaled = (scale: number, n: V | undefined): [number, V][] => (n ? [[scale, n]] : []);
      const between = combine([half.z, start], [half.x, x], ...scaled(half.noise, first));
      const later = dataFrom(splitOf(eps, between, middle).denoise, between, middle);
      const noises = [...scaled(rest.z * half.noise, first), ...scaled(rest.noise, second)];
      return { z: combine([whole.z, start], [whole.x, later], ...noises), state };
    },
  };
}

/**
 * DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2), the midpoint form: x̃ = x̂ + (x̂ − x̂_before)/(2r) with
 * r = (λ − λ_before)/(λ' − λ), and the exact move with x̃. The first step and the one to λ' = +∞ take x̂ alone. With ε̂ in
 * two parts, CFG++ (arXiv 2406.08070, appendix): x̃ of ε̂_renoise, and α' (x̂_denoise − x̂_renoise) added.
 * @param eta η ≥ 0: 0 is the flow; 1 the reverse SDE, SDE-DPM-Solver++(2M).
 * @param lowerOrderFinal take x̂ alone in the last step also when it ends at a finite λ.
 */
export function dpmSolverPP2M<V extends Value = Tensor>({
  eta = 0,
  lowerOrderFinal = false,
}: {
  eta?: number;
  lowerOrderFinal?: boolean;
} = {}): Sampler<{ past: Past<V>; end: number }, V> {
  checkWithin('eta', eta, 0, Number.MAX_VALUE);
  return {
    name: eta === 0 ? 'dpmSolverPP2M' : `dpmSolverPP2M(eta=${eta})`,
    order: 2,
    splits: true,
    calls: () => 1,
    init: (_, lambdas) => ({ past: [], end: lambdas.at(-1) as number }),
    step(eps, z, from, to, { past, end }, noise) {
      const { denoise, renoise } = splitOf(eps, z, from);
      const x = dataFrom(renoise, z, from);
      const move = dataMove(from, to, eta);
      const terms: [number, V][] = [[move.z, z]];
      const [before] = isData(to) || (lowerOrderFinal && to === end) ? [] : past;
      const half = before ? (to - from) / (from - before.lambda) / 2 : 0;
      terms.push([move.x * (1 + half), x]);
      if (before) terms.push([-move.x * half, before.value]);
      if (denoise !== renoise) {
        const removed = alphaRatio(from, to) * sigma(from);
        terms.push([removed, renoise], [-removed, denoise]);
      }
      if (move.noise > 0) terms.push([move.noise, noise()]);
      return { z: combine(...terms), state: { past: [{ lambda: from, value: x }], end } };
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
  checkWithin('eta', eta, 0, Number.MAX_VALUE);
  const name = eta === 0 ? 'dpmSolverPP3M' : `dpmSolverPP3M(eta=${eta})`;
  return adamsBashforth({ name, order: 3, prediction: 'x', eta });
}
