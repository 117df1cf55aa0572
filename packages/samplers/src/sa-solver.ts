import { checkInteger, checkNotNegative, combine, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { dataMove, isData } from './exact-moves.js';
import { type Past, polynomialWeights, trusted } from './multistep.js';
import type { Sampler } from './sampler.js';

export interface SASolverOptions {
  /** Predictions of x̂ in the predictor, 1 to 4: the paper's s. */
  predictor?: number;
  /** Earlier predictions in the corrector, 0 (none) to 3, beside the new one: the paper's ŝ. */
  corrector?: number;
  /** τ ≥ 0, how stochastic the process is: a number or a function of λ, taken at the middle of a step. 0 is the flow. */
  tau?: number | ((lambda: number) => number);
  /** Let the orders fall towards the end: p in the p-th step from the end, as the authors' code always does. True unless given. */
  lowerOrderFinal?: boolean;
}

interface SAState<V> {
  past: Past<V>;
  /** z at the point before, corrected, that point, and the noise of the step from there. */
  before: { z: V; lambda: number; noise: V | null } | null;
}

/**
 * SA-Solver (Xue et al. 2023, arXiv 2309.05019, Algorithm 1): the reverse process with noise τ(λ), x̂ a polynomial in λ.
 * A stochastic Adams–Bashforth step predicts; the model call at its end makes a stochastic Adams–Moulton step of the same
 * interval with the same noise. The step to λ' = +∞ takes x̂ alone.
 */
export function saSolver<V extends Value = Tensor>({
  predictor = 3,
  corrector = 2,
  tau = 1,
  lowerOrderFinal = true,
}: SASolverOptions = {}): Sampler<SAState<V>, V> {
  checkInteger('predictor', predictor, 1, 4);
  checkInteger('corrector', corrector, 0, 3);
  if (typeof tau === 'number') checkNotNegative('tau', tau);
  const etaOf = (from: number, to: number) => (typeof tau === 'number' ? tau : tau((from + to) / 2)) ** 2;
  const stepped = (z: V, known: Past<V>, from: number, to: number, noise: V | null): V => {
    const move = dataMove(from, to, etaOf(from, to));
    const lambdas = known.map(({ lambda }) => lambda);
    const weights = polynomialWeights(lambdas, from, to, { prediction: 'x', eta: etaOf(from, to) });
    const terms = known.map(({ value }, i): [number, V] => [weights[i] as number, value]);
    return combine([move.z, z], ...terms, ...(noise ? [[move.noise, noise] as [number, V]] : []));
  };
  const deterministic = tau === 0;
  const reached = corrector > 0 ? Math.min(predictor, corrector) + 1 : predictor;
  return {
    name: `saSolver(${predictor}, ${corrector}, tau=${typeof tau === 'number' ? tau : 'τ(λ)'})`,
    order: deterministic ? reached : Math.min(2, reached),
    calls: () => 1,
    init: () => ({ past: [], before: null }),
    step({ predict, z, from, to, index, points, noise }, { past, before }) {
      const now = { lambda: from, value: predict(z, from).x };
      const left = lowerOrderFinal ? points.length - 1 - index : Number.POSITIVE_INFINITY;
      const corrected =
        corrector > 0 && before
          ? stepped(before.z, [now, ...past.slice(0, Math.min(corrector, left))], before.lambda, from, before.noise)
          : z;
      const known = [now, ...past].slice(0, Math.max(predictor, corrector));
      if (isData(to)) return { z: combine([1, now.value]), state: { past: known, before: null } };
      const drawn = etaOf(from, to) > 0 ? noise() : null;
      const next = stepped(corrected, trusted(known, Math.min(predictor, left), to), from, to, drawn);
      return { z: next, state: { past: known, before: { z: corrected, lambda: from, noise: drawn } } };
    },
  };
}
