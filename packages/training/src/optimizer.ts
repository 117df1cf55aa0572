import type { Tree } from '@logsnr/core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';

/** Numbers that change from step to step: computed in float64 outside of the step, and scalar tensors within it. */
export type Numbers = Tree<number>;
export type Scalars = Tree<Scalar>;

/** Parameters that are treated alike: those that `match`, and no earlier group does. */
export interface ParameterGroup {
  /** Whether a parameter belongs here, by its path, such as `down.0.conv.kernel`, and its shape. */
  readonly match: (path: string, shape: readonly number[]) => boolean;
  /** Instead of the optimizer's own. */
  readonly weightDecay?: number;
  /** Factor on the learning rate; 1 unless given. */
  readonly rate?: number;
  /** Left as they are: no gradient is taken. */
  readonly frozen?: boolean;
}

/** State of an optimizer: under each slot a tensor for each vector of weights. */
export type Slots = Readonly<Record<string, readonly Tensor[]>>;

/** A vector of weights, its gradient (null where it is frozen), and the number of its group. */
export interface Weights {
  readonly value: Tensor;
  readonly gradient: Tensor | null;
  readonly group: number;
}

/**
 * A rule that changes weights, as pure functions with explicit state. Nothing in `update` depends on the step but the
 * scalars, so a step compiled once stays right for the whole run. The weights come as vectors, one for each group.
 */
export interface Optimizer {
  /** The groups; parameters that match none are of group `groups.length`. */
  readonly groups: readonly ParameterGroup[];
  /** The state to begin with, which the caller owns. */
  init(weights: readonly Tensor[]): Slots;
  /** The numbers of step `step` (from 0); `progress` ∈ [0, 1] is how much of the run is over. */
  numbers(step: number, progress?: number): Numbers;
  /** The next weights and state, which the caller owns; the arguments are borrowed. */
  update(weights: readonly Weights[], state: Slots, scalars: Scalars): { weights: Tensor[]; state: Slots };
}
