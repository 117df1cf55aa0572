import { alpha, checkChoice, checkInteger, combine, sigma, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { dataMove, epsMove, isData } from './exact-moves.js';
import { integrate, lagrange } from './quadrature.js';
import type { Sampler } from './sampler.js';

/** What was predicted before, the latest first. */
export type Past<V> = readonly { readonly lambda: number; readonly value: V }[];

/**
 * The weights of past predictions in a step from λ to λ'. A polynomial in the variable `of`(λ) goes through the predictions at
 * `nodes` (λ, the latest first), and is integrated exactly: ε in ∫ α' ε ds, x̂ in the reverse process with η (see
 * `dataMove`).
 */
export function polynomialWeights(
  nodes: readonly number[],
  from: number,
  to: number,
  { of = (lambda: number) => lambda, prediction, eta = 0 }: Polynomial,
): number[] {
  const total = prediction === 'eps' ? epsMove(from, to).eps : dataMove(from, to, eta).x;
  // Beyond s = e^{−40} nothing is left to integrate.
  const end = Math.min(to, from + 80);
  const kernel =
    prediction === 'eps'
      ? (lambda: number) => (-alpha(to) * Math.exp(-lambda / 2)) / 2
      : (lambda: number) => ((1 + eta) * sigma(to) * Math.exp(lambda / 2 - (eta * (to - lambda)) / 2)) / 2;
  const at = nodes.map(of);
  const rest = at.slice(1).map((_, i) => integrate((l) => kernel(l) * lagrange(at, i + 1, of(l)), from, end));
  return [rest.reduce((sum, weight) => sum - weight, total), ...rest];
}

/**
 * The predictions that a polynomial may use: the latest `count`. It is the last alone when the step is more than three times
 * as long as the one before, in the polynomial's variable `of`(λ): a polynomial says nothing so far ahead. (In λ, the
 * paper's arctan grid ends with such steps.)
 */
export function trusted<V>(
  known: Past<V>,
  count: number,
  to: number,
  of: (lambda: number) => number = (lambda) => lambda,
): Past<V> {
  const [now, before] = known;
  const far = now && before && Math.abs(of(to) - of(now.lambda)) > 3 * Math.abs(of(now.lambda) - of(before.lambda));
  return known.slice(0, far ? 1 : count);
}

interface Polynomial {
  /** The variable in which the prediction is a polynomial; λ unless given. */
  of?: (lambda: number) => number;
  prediction: 'eps' | 'x';
  eta?: number;
}

interface AdamsBashforth extends Polynomial {
  name: string;
  order: number;
  /** Whether the polynomial also serves steps that are far longer than the one before, to clean data among them. */
  extrapolates?: boolean;
}

/**
 * Adams–Bashforth: a polynomial through the last `order` predictions (fewer at the start) is integrated exactly. `lms`, `deis`,
 * `exponentialAB` and `dpmSolverPP3M` are this with other predictions and variables.
 */
export function adamsBashforth<V extends Value>(method: AdamsBashforth): Sampler<{ past: Past<V> }, V> {
  const { name, order, prediction, of, eta = 0, extrapolates = false } = method;
  checkInteger('order', order, 1, 4);
  return {
    name,
    // The noise of a step is not in its polynomial: of the law, order 2 is left.
    order: eta === 0 ? order : Math.min(2, order),
    calls: () => 1,
    init: () => ({ past: [] }),
    step({ predict, z, from, to, noise }, { past }) {
      const estimate = predict(z, from);
      const known = [{ lambda: from, value: estimate[prediction] }, ...past].slice(0, order);
      const used = extrapolates ? known : trusted(known, order, to, of);
      if (isData(to) && used.length === 1) return { z: combine([1, estimate.x]), state: { past: known } };
      const lambdas = used.map(({ lambda }) => lambda);
      const weights = polynomialWeights(lambdas, from, to, method);
      const move = prediction === 'eps' ? { ...epsMove(from, to), noise: 0 } : dataMove(from, to, eta);
      const terms: [number, V][] = [
        [move.z, z],
        ...used.map(({ value }, i): [number, V] => [weights[i] as number, value]),
      ];
      if (move.noise > 0) terms.push([move.noise, noise()]);
      return { z: combine(...terms), state: { past: known.slice(0, order - 1) } };
    },
  };
}

/**
 * Linear multistep on dy/ds = ε with exact weights (as in k-diffusion, after Liu et al. 2022): ε a polynomial in
 * s = σ/α. The same as DEIS's ρAB (Zhang & Chen 2022, arXiv 2204.13902). The polynomial also serves the last step.
 * @param order 1 to 4; 1 is `ddim()`.
 */
export const lms = <V extends Value = Tensor>({ order = 4 }: { order?: number } = {}): Sampler<{ past: Past<V> }, V> =>
  adamsBashforth({ name: `lms(${order})`, order, prediction: 'eps', of: (l) => Math.exp(-l / 2), extrapolates: true });

/**
 * DEIS, tAB (Zhang & Chen 2022, arXiv 2204.13902): ε a polynomial in time.
 * @param order 1 to 4; the paper's r plus 1.
 * @param time t(λ); unless given that of the paper's VP-SDE with β from 0.1 to 20.
 */
export const deis = <V extends Value = Tensor>({
  order = 3,
  time = linearTime,
}: {
  order?: number;
  time?: (lambda: number) => number;
} = {}): Sampler<{ past: Past<V> }, V> =>
  adamsBashforth({ name: `deis(${order})`, order, prediction: 'eps', of: time });

/** −2 ln α = β₀ t + (β₁ − β₀) t²/2, solved for t. */
function linearTime(lambda: number): number {
  const [first, rise] = [0.1, 19.9];
  const decay = -2 * Math.log(alpha(lambda));
  return (2 * decay) / (first + Math.sqrt(first ** 2 + 2 * rise * decay));
}

/**
 * Exponential Adams–Bashforth in λ (Hochbruck & Ostermann 2010, "Exponential integrators", section 2.5; as DPM-Solver
 * and DPM-Solver++ multistep, arXiv 2206.00927 and 2211.01095, with exact weights): ε or x̂ a polynomial in λ.
 */
export const exponentialAB = <V extends Value = Tensor>({
  order = 3,
  prediction = 'x',
}: {
  order?: number;
  prediction?: 'eps' | 'x';
} = {}): Sampler<{ past: Past<V> }, V> => {
  checkChoice('prediction', prediction, ['eps', 'x']);
  return adamsBashforth({ name: `exponentialAB(${order}, ${prediction})`, order, prediction });
};
