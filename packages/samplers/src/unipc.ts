import { alpha, checkChoice, checkInteger, combine, sigma, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { isData } from './exact-moves.js';
import type { Past } from './multistep.js';
import { integrate } from './quadrature.js';
import type { Sampler } from './sampler.js';

export interface UniPCOptions {
  /** p, 1 to 3: how many predictions of x̂ the predictor uses. */
  order?: number;
  /** B(h): `bh1` is h, `bh2` (default) e^h − 1, with h = λ − λ' over 2. */
  variant?: 'bh1' | 'bh2';
  /** Correct each step with the model call of the next (UniC), from the second on. No call more. */
  corrector?: boolean;
  /** Let the order fall towards the end of the grid: p in the p-th step from the end, 1 in the last. */
  lowerOrderFinal?: boolean;
}

interface UniPCState<V> {
  /** x̂ before, the latest first. */
  past: Past<V>;
  /** z at the point before, corrected, and the order with which the step from there was made. */
  before: { z: V; order: number } | null;
}

/**
 * UniPC (Zhao et al. 2023, arXiv 2302.04867, Algorithms 1 and 2), predicting x̂: UniP-p makes a step from p predictions,
 * and the model call at its end gives UniC-p, which corrects it. The order rises from 1 as predictions come in. The step
 * to λ' = +∞, and one of length 0, have order 1; the former gives x̂.
 */
export function unipc<V extends Value = Tensor>({
  order = 2,
  variant = 'bh2',
  corrector = true,
  lowerOrderFinal = true,
}: UniPCOptions = {}): Sampler<UniPCState<V>, V> {
  checkInteger('order', order, 1, 3);
  checkChoice('variant', variant, ['bh1', 'bh2']);
  return {
    name: `unipc(${order}, ${variant}${corrector ? '' : ', no corrector'})`,
    order: corrector ? order + 1 : order,
    calls: () => 1,
    init: () => ({ past: [], before: null }),
    step({ predict, z, from, to, index, points }, { past, before }) {
      const now = { lambda: from, value: predict(z, from).x };
      const corrected = corrector && before ? unified(before.z, past.slice(0, before.order), from, variant, now) : z;
      const known = [now, ...past].slice(0, order);
      const simple = isData(to) || to === from;
      const p = simple ? 1 : Math.min(known.length, lowerOrderFinal ? points.length - 1 - index : order);
      const next = isData(to) ? combine([1, now.value]) : unified(corrected, known.slice(0, p), to, variant);
      return { z: next, state: { past: known, before: { z: corrected, order: p } } };
    },
  };
}

/**
 * The update from z at the λ of the latest `past` to λ': with `next`, x̂ at λ', the corrector, else the predictor.
 * z' = (σ'/σ) z − α' (e^{−h} − 1) x̂₀ − α' B Σ_m ρ_m (x̂_m − x̂₀)/r_m, where r_m = (λ_m − λ)/(λ' − λ) and the ρ solve
 * Σ_m ρ_m r_m^{i−1} = (−h/B) ∫₀¹ e^{−h(1−θ)} θ^i dθ for i = 1, 2, … (the paper's i! φ_{i+1}, as integrals).
 */
function unified<V extends Value>(z: V, past: Past<V>, to: number, variant: 'bh1' | 'bh2', next?: Past<V>[number]): V {
  const [latest, ...earlier] = past as [Past<V>[number], ...Past<V>];
  const h = (to - latest.lambda) / 2;
  const others = next ? [...earlier, next] : earlier;
  const r = others.map(({ lambda }) => (lambda - latest.lambda) / (to - latest.lambda));
  const b = variant === 'bh1' ? -h : Math.expm1(-h);
  const rho = coefficients(r, h, b);
  const weights = rho.map((value, m) => (-alpha(to) * b * value) / (r[m] as number));
  const main = weights.reduce((rest, weight) => rest - weight, -alpha(to) * Math.expm1(-h));
  return combine(
    [sigma(to) / sigma(latest.lambda), z],
    [main, latest.value],
    ...others.map(({ value }, m): [number, V] => [weights[m] as number, value]),
  );
}

/** The ρ; one alone is ½ whatever h, which the paper takes for UniP-2 and UniC-1. */
function coefficients(r: readonly number[], h: number, b: number): number[] {
  if (r.length === 0) return [];
  if (r.length === 1) return [0.5];
  const rows = r.map((_, i) => r.map((value) => value ** i));
  return solve(
    rows,
    // Along s = h θ, whose panels stay short where h is long.
    r.map((_, i) => -integrate((s) => Math.exp(s - h) * (s / h) ** (i + 1), 0, h) / b),
  );
}

/** Gaussian elimination of a small, well-posed system. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] as number]);
  for (const [i, pivot] of rows.entries())
    for (const [k, row] of rows.entries()) {
      if (k === i) continue;
      const factor = (row[i] as number) / (pivot[i] as number);
      for (let j = i; j < row.length; j++) row[j] = (row[j] as number) - factor * (pivot[j] as number);
    }
  return rows.map((row, i) => (row.at(-1) as number) / (row[i] as number));
}
