import {
  type Cost,
  checkChoice,
  inTurn,
  joined,
  type Memory,
  type Model,
  mapTensors,
  type Predicted,
} from '@logsnr/core';
import { concat, slice, split, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { joinMemories } from './memory.js';

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
    joinMemories(parts.map(({ memory }) => memory)),
  );
  const count = parts.length;
  const cut = (value: Tensor | null): (Tensor | null)[] => (value ? split(value, count) : parts.map(() => null));
  const [x, eps, renoise, variance] = [whole.x, whole.eps, whole.renoise, whole.variance].map(cut);
  const n = z.shape[0] as number;
  return parts.map((_, i) => ({
    x: x?.[i] as Tensor,
    eps: eps?.[i] as Tensor,
    renoise: renoise?.[i] ?? null,
    variance: variance?.[i] ?? null,
    memory: mapTensors(whole.memory, (tensor) => slice(tensor, i * n, n)),
  }));
}

/** The cost of `parts` predictions by {@link evaluate}. */
export function costOf<C>(model: Model<C>, evaluation: Evaluation, parts: number, lambda: number): Cost {
  const one = model.cost(lambda);
  return evaluation === 'joint' ? joined(one, parts) : inTurn(...Array.from({ length: parts }, () => one));
}
