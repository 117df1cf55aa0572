import type { Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/**
 * A sampler is a pure step from one log-SNR to the next. It knows neither conditions, guidance nor schedules: `eps` is
 * all it sees of them. A value with no state of its own: what a step must remember is its `state`, passed along.
 *
 * V is what it moves: tensors, or `Float64Array`s for checking its mathematics with the same code. Write steps with
 * `combine` of `@logsnr/core` and they run on both. S is the state, any structure of values.
 */
export interface Sampler<S = unknown, V extends Value = Tensor> {
  readonly name: string;
  /** Order of convergence of the deterministic method, or 1 for a stochastic one. */
  readonly order: number;
  /** The state before the first step from `z`. */
  init(z: V): S;
  /**
   * One step z_from → z_to, `from` < `to` (`to` = +∞ is clean data, where a sampler returns x̂ and draws no noise).
   * Borrows `z` and `state`; returns new ones. `eps` may be called more than once; `noise` returns new standard normal
   * values of z's shape at every call.
   */
  step(eps: (z: V, lambda: number) => V, z: V, from: number, to: number, state: S, noise: () => V): { z: V; state: S };
}
