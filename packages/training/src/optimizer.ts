import type { Parameters } from '@logsnr/core';
import type { Scalar } from '@tensorflow/tfjs-core';

/** Numbers that change from step to step, computed in float64 outside of the step and entered as scalar tensors. */
export type Scalars = Readonly<Record<string, Scalar>>;

/**
 * A rule that changes weights, as pure functions with explicit state. Nothing in `update` depends on the step but the
 * `scalars`, so a step compiled once stays right for the whole run.
 */
export interface Optimizer {
  /** The state to begin with, under flat names `slot.parameter`. The caller owns it. */
  init(parameters: Parameters): Parameters;
  /** The numbers of step `step` (from 0); `progress` ∈ [0, 1] is how much of the run is over. */
  scalars(step: number, progress?: number): Readonly<Record<string, number>>;
  /** The next parameters and state, which the caller owns; the arguments are borrowed. */
  update(
    parameters: Parameters,
    gradients: Parameters,
    state: Parameters,
    scalars: Scalars,
  ): { parameters: Parameters; state: Parameters };
}
