import { type Cost, costAt, type EpsModel, inTurn, joined } from '@logsnr/core';
import { concat, split, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { checkWhole } from './guide.js';

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
export function checkEvaluation(evaluation: Evaluation): void {
  if (evaluation !== 'joint' && evaluation !== 'split')
    throw new RangeError(`evaluation is "${evaluation}"; it must be "joint" or "split".`);
}

/** One prediction to make: at which λ and for which conditions. */
export interface Part<C> {
  lambda: Tensor1D;
  condition: C;
}

/** ε̂ of `model` at z for each part, in one batch or in turn. To be called within a tidy. */
export function evaluate<C>(
  model: EpsModel<C>,
  join: (a: C, b: C) => C,
  evaluation: Evaluation,
  z: Tensor,
  parts: readonly Part<C>[],
): Tensor[] {
  checkWhole(model);
  if (evaluation === 'split' || parts.length === 1) return parts.map((part) => model(z, part.lambda, part.condition));
  const whole = model(
    concat(parts.map(() => z)),
    concat(parts.map(({ lambda }) => lambda)),
    parts.map(({ condition }) => condition).reduce(join),
  );
  return split(whole, parts.length);
}

/** The cost of `parts` predictions by {@link evaluate}. */
export function costOf<C>(model: EpsModel<C>, evaluation: Evaluation, parts: number, lambda: number): Cost {
  const one = costAt(model, lambda);
  return evaluation === 'joint' ? joined(one, parts) : inTurn(...Array.from({ length: parts }, () => one));
}
