import {
  type Cost,
  checkChoice,
  inTurn,
  joined,
  type Memory,
  type Model,
  mapTensors,
  type Predicted,
  zipTensors,
} from '@logsnr/core';
import { concat, slice, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';

/**
 * `joint` evaluates predictions that one model makes for the same z as one batch: fewest calls. `split` evaluates them one
 * after another: least memory. The numbers are the same.
 */
export type Evaluation = 'joint' | 'split';

export interface EvaluationOptions {
  /** `joint` unless given. */
  evaluation?: Evaluation | undefined;
}

/** Throws a `RangeError` on an unknown evaluation. */
export const checkEvaluation = (evaluation: Evaluation): void =>
  checkChoice('evaluation', evaluation, ['joint', 'split']);

/** One prediction to make: at which λ, for which conditions, with what the model remembers of it. */
export interface Part<C> {
  lambda: Tensor1D;
  condition: C;
  memory: Memory;
}

/** What `model` predicts at z for each part, in one batch or in turn. To be called within a tidy. */
export function evaluate<C>(
  model: Model<C>,
  join: (a: C, b: C) => C,
  evaluation: Evaluation,
  z: Tensor,
  parts: readonly Part<C>[],
): Predicted[] {
  if (evaluation === 'split' || parts.length === 1)
    return parts.map(({ lambda, condition, memory }) => model.predict(z, lambda, condition, memory));
  const whole = model.predict(
    concat(parts.map(() => z)),
    concat(parts.map(({ lambda }) => lambda)),
    parts.map(({ condition }) => condition).reduce(join),
    zipTensors(parts.map(({ memory }) => memory) as [Memory, ...Memory[]], (...own) => concat(own)),
  );
  const n = z.shape[0] as number;
  return parts.map((_, i) => mapTensors(whole, (tensor) => slice(tensor, i * n, n)));
}

/** The cost of `parts` predictions by {@link evaluate}. */
export function costOf<C>(model: Model<C>, evaluation: Evaluation, parts: number, lambda: number): Cost {
  const one = model.cost(lambda);
  return evaluation === 'joint' ? joined(one, parts) : inTurn(...Array.from({ length: parts }, () => one));
}
