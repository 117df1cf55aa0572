import type { SplitEps, Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/**
 * The guided ε̂(z, λ) as a step sees it, for the whole batch at one λ. `split` is there when the model gives ε̂ in two
 * parts (`SplitEps`); use {@link splitOf} or {@link splitTerms} to serve both kinds.
 */
export interface Eps<V extends Value = Tensor> {
  (z: V, lambda: number): V;
  split?: ((z: V, lambda: number) => SplitEps<V>) | undefined;
}

/**
 * A sampler is a pure step from one log-SNR to the next. It knows neither conditions, guidance nor schedules: `eps` is
 * all it sees of them. A value with no state of its own: what a step must remember is its `state`, passed along.
 *
 * V is what it moves: tensors, or `Float64Array`s for checking its mathematics with the same code. Write steps with
 * `combine` of `@logsnr/core` and they run on both. S is the state, any structure of values.
 */
export interface Sampler<S = unknown, V extends Value = Tensor> {
  readonly name: string;
  /** Order of convergence: of z itself for a deterministic method, of its mean and covariance for a stochastic one. */
  readonly order: number;
  /** True when the step uses both parts of an ε̂ that comes in two; such a model is refused otherwise. */
  readonly splits?: boolean | undefined;
  /** False when the step does more than `combine`, `eps` and `noise`, and so cannot be compiled. */
  readonly compiles?: boolean | undefined;
  /** How far a sample may depend on the others of its batch; 0 unless given. */
  readonly tolerance?: number | undefined;
  /**
   * Model calls of step number `step` (1, 2, …) of a walk along `points`, from points[step − 1] to points[step]; left
   * out where they depend on the values. {@link modelCalls} adds them up.
   */
  calls?(step: number, points: readonly number[]): number;
  /** The state before the first step from `z`; `lambdas` are all points of the walk, its end (often +∞) included. */
  init(z: V, lambdas: readonly number[]): S;
  /**
   * One step z_from → z_to, `from` < `to` (`to` = +∞ is clean data, where a sampler returns x̂ and draws no noise).
   * Borrows `z` and `state`; returns new ones. `eps` may be called more than once; `noise` returns new standard normal
   * values of z's shape at every call.
   */
  step(eps: Eps<V>, z: V, from: number, to: number, state: S, noise: () => V): { z: V; state: S };
}

/** Both parts of ε̂; the same value twice where the model does not split it. */
export function splitOf<V extends Value>(eps: Eps<V>, z: V, lambda: number): SplitEps<V> {
  if (eps.split) return eps.split(z, lambda);
  const value = eps(z, lambda);
  return { denoise: value, renoise: value };
}

/**
 * `denoise` · ε̂_denoise + `renoise` · ε̂_renoise as terms for `combine`: two where the model splits its ε̂, else one.
 */
export function splitTerms<V extends Value>(
  eps: Eps<V>,
  z: V,
  lambda: number,
  { denoise, renoise }: SplitEps<number>,
): [coefficient: number, value: V][] {
  const parts = splitOf(eps, z, lambda);
  if (parts.denoise === parts.renoise) return [[denoise + renoise, parts.denoise]];
  return [
    [denoise, parts.denoise],
    [renoise, parts.renoise],
  ];
}

/** Throws a `TypeError` when a model gives ε̂ in two parts and the sampler does not use them. */
export function checkSplit(
  model: { split?: unknown },
  sampler: { readonly name: string; readonly splits?: boolean | undefined },
): void {
  if (model.split !== undefined && !sampler.splits)
    throw new TypeError(
      `the model gives ε̂ in two parts (it has \`split\`), which the sampler "${sampler.name}" does not use; take one with \`splits\`, such as ddim(), ancestral() or dpmSolverPP2M(), or a model without \`split\`.`,
    );
}

/** How often a walk calls the model, as the sampler declares it; undefined where it depends on the values. */
export function modelCalls<S, V extends Value>(
  sampler: Sampler<S, V>,
  lambdas: readonly number[],
  end: number = Number.POSITIVE_INFINITY,
): number | undefined {
  const points = [...lambdas, end];
  return sampler.calls && lambdas.reduce((sum, _, i) => sum + (sampler.calls?.(i + 1, points) ?? 0), 0);
}
