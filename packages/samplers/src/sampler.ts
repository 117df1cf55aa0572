import { alpha, checkShape, combine, type Estimate, sigma, type Value } from '@logsnr/core';
import { Tensor } from '@tensorflow/tfjs-core';

/** What a model predicts for the whole batch at one λ, conditions and guidance included. */
export type Predict<V extends Value = Tensor> = (z: V, lambda: number) => Estimate<V>;

/** Where a step begins and ends, and its noise. */
export interface Place<V extends Value = Tensor> {
  /** z at `from`; borrowed. */
  readonly z: V;
  /** The log-SNR where the step begins: `points[index]`, but for samplers around which others are wrapped. */
  readonly from: number;
  /** Where it ends; `to` = +∞ is clean data, where a sampler returns x̂ and draws no noise. */
  readonly to: number;
  /** Number of the step, from 0. */
  readonly index: number;
  /** All points of the walk, its end (often +∞) included. */
  readonly points: readonly number[];
  /** New standard normal values of z's shape at every call. */
  noise(): V;
}

/** All that a step sees. `predict` may be called more than once. */
export interface StepContext<V extends Value = Tensor> extends Place<V> {
  predict(z: V, lambda: number): Estimate<V>;
}

/**
 * A sampler is a pure step from one log-SNR to the next. It knows neither conditions, guidance nor schedules: `predict` is
 * all it sees of them. A value with no state of its own: what a step must remember is its `state`, passed along.
 *
 * V is what it moves: tensors, or `Float64Array`s for checking its mathematics with the same code. Write steps with
 * `combine` of `@logsnr/core` and they run on both. S is the state, any structure of values.
 */
export interface Sampler<S = unknown, V extends Value = Tensor> {
  readonly name: string;
  /** Order of convergence: of z itself for a deterministic method, of its mean and covariance for a stochastic one. */
  readonly order: number;
  /** True when the step goes to α' x̂ + σ' · `renoise` where a model gives that; such a model is refused otherwise. */
  readonly renoises?: boolean | undefined;
  /** False when the step does more than `combine`, `scaleByExp`, `predict` and `noise`, and so cannot be compiled. */
  readonly compiles?: boolean | undefined;
  /** How far a sample may depend on the others of its batch; 0 unless given. */
  readonly tolerance?: number | undefined;
  /**
   * Model calls of step number `index` (from 0) of a walk along `points`; left out where they depend on the values.
   * {@link modelCalls} adds them up.
   */
  calls?(index: number, points: readonly number[]): number;
  /** The state before the first step from `z`; `points` are those of the walk, its end included. */
  init(z: V, points: readonly number[]): S;
  /** One step z_from → z_to, `from` < `to`. Borrows z and the state; returns new ones. */
  step(context: StepContext<V>, state: S): { z: V; state: S };
}

/** What a plain ε(z, λ) of z's shape predicts: x̂ = (z − σ ε)/α beside it. For walks on numbers, and on tensors without a model. */
export const predictEps =
  <V extends Value>(eps: (z: V, lambda: number) => V): Predict<V> =>
  (z, lambda) => {
    const own = eps(z, lambda);
    if (own instanceof Tensor) checkShape("the model's output", own, (z as Tensor).shape);
    const x = combine([1 / alpha(lambda), z], [-sigma(lambda) / alpha(lambda), own]);
    return { x, eps: own, renoise: null, variance: null };
  };

/** Throws a `TypeError` when a model gives a second ε̂ to renoise with and the sampler does not use it. */
export function checkRenoise(
  gives: { readonly renoise: boolean },
  sampler: { readonly name: string; readonly renoises?: boolean | undefined },
): void {
  if (gives.renoise && !sampler.renoises)
    throw new TypeError(
      `the model gives a second ε̂ to renoise with (as cfgPlusPlus does), which the sampler "${sampler.name}" does not use; take one with \`renoises\`, such as ddim(), ancestral() or dpmSolverPP2M(), or another kind of guidance.`,
    );
}

/** How often a walk calls the model, as the sampler declares it; undefined where it depends on the values. */
export function modelCalls<S, V extends Value>(
  sampler: Sampler<S, V>,
  lambdas: readonly number[],
  end: number = Number.POSITIVE_INFINITY,
): number | undefined {
  const points = [...lambdas, end];
  return sampler.calls && lambdas.reduce((sum, _, i) => sum + (sampler.calls?.(i, points) ?? 0), 0);
}
