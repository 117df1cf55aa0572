import { checkInteger, type Key, type Runtime } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { getGradient, type Tensor } from '@tensorflow/tfjs-core';
import { type Ema, ema as exponential } from './ema.js';
import type { Optimizer } from './optimizer.js';
import type { RunLimits } from './run-limits.js';
import type { StepParts } from './step.js';
import { EMA, type TrainingState } from './training-state.js';

/** What is known after each step. */
export interface StepReport {
  /** Steps taken so far, from 1. */
  readonly step: number;
  readonly loss: number;
  /** ‖∇ loss‖ of the step's batch, before clipping. */
  readonly norm: number;
  /** How much of the run is over, in [0, 1]. */
  readonly progress: number;
  /** Seconds that the run has taken, earlier parts of it included. */
  readonly seconds: number;
  /** Images in this step's batch. */
  readonly images: number;
  /** Images of this step over its seconds, the wait for them included. */
  readonly imagesPerSecond: number;
  /** Seconds of this step in which `inputs` was waited for. */
  readonly wait: number;
  /** Steps so far that were skipped, their loss or gradient not being finite. */
  readonly skipped: number;
  /** A copy of the state now, which the caller owns: for a checkpoint, or to sample from. Only within `onStep`. */
  snapshot(): TrainingState;
}

export interface OptimizeOptions<I, P extends Parameters = Parameters> extends RunLimits {
  /** The weights to begin with, borrowed. */
  readonly parameters?: P;
  /** The state of a run to go on with, borrowed; `parameters` is then left alone. */
  readonly from?: TrainingState | undefined;
  /** A scalar, differentiable in the parameters. It may not draw or read: what changes enters through `inputs`. */
  readonly loss: (parameters: P, inputs: I) => Tensor;
  /**
   * The tensors of step `step` (from 0), a function of it alone; with `accumulate`, of its part `part` (from 0). They
   * are disposed of after the step.
   */
  readonly inputs: (step: number, part: number) => I | Promise<I>;
  /** Parts of equal size that a step's batch comes in: their mean gradient takes the step. 1 unless given. */
  readonly accumulate?: number;
  readonly optimizer: Optimizer;
  /** Keep an average of the weights with this decay; see `ema`. None unless given. */
  readonly emaDecay?: number;
  /** Instead of `emaDecay`: the rule of the average, such as `powerEma`. */
  readonly ema?: Ema;
  /** Further averages to keep, by name, such as two of `powerEma` to reconstruct others from. */
  readonly averages?: Readonly<Record<string, Ema>>;
  /** Skipped steps in a row after which the run stops. 10 unless given. */
  readonly skipLimit?: number;
  /** Images in the inputs, for the speed. 1 unless given. */
  readonly images?: (inputs: I) => number;
  /**
   * Called after each step and waited for. It is part of the training: where it throws, the loop ends with `onEnd` and that
   * error. The same holds for `inputs`, `loss`, `images` and `reduce`.
   */
  readonly onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
  /**
   * Called once, where the loop ends: by its limits, by `signal`, or by an error of `inputs`, `loss` or `onStep`.
   * `snapshot` copies the state after the last step that was taken, which the caller owns. It is not called where the
   * library failed within a step, as nobody knows that state.
   */
  readonly onEnd?: ((snapshot: () => TrainingState) => void | Promise<void>) | undefined;
  /** Where the step runs, with its state: e.g. `native()` of @logsnr/tensorflow. Operation by operation unless given. */
  readonly runtime?: Runtime;
  /** What happens to loss and gradient, one vector, before the update; see `trainStep`. */
  readonly reduce?: StepParts<I>['reduce'];
  /** Noted in the states, which then can only be gone on from with the same key. */
  readonly key?: Key;
}

export type OptimizeResult<P extends Parameters = Parameters> = Required<
  Pick<TrainingState, 'optimizer' | 'losses' | 'skipped' | 'seconds'>
> &
  TrainingState & { readonly parameters: P; readonly ema?: P };

/** tfjs-core alone has operations but not their gradients, which another package registers. */
export function checkGradients(): void {
  if (!getGradient('SplitV'))
    throw new Error(
      'TensorFlow.js has no gradients here: call useBackend() of @logsnr/tensorflow first, or import @tensorflow/tfjs.',
    );
}

/** The state to begin from. @throws RangeError where there is none, or it is of another run. */
export function startOf<I, P extends Parameters>({ parameters, from, key }: OptimizeOptions<I, P>): TrainingState {
  if (from) {
    checkInteger('the step of `from`', from.step);
    if (key && from.key && key.words.join() !== from.key.words.join())
      throw new RangeError(
        `the state of step ${from.step} is of a run with another key (${from.key.words}, given ${key.words}); go on with its own seed, or start anew from its \`parameters\`.`,
      );
    return from;
  }
  if (!parameters)
    throw new RangeError('there is nothing to optimize; give `parameters`, or `from` to go on with a run.');
  return { step: 0, parameters };
}

/** The averages that are kept, by their names in a step's state. */
export function rulesOf<I, P extends Parameters>({
  ema,
  emaDecay,
  averages = {},
}: OptimizeOptions<I, P>): Readonly<Record<string, Ema>> {
  if (ema && emaDecay !== undefined) throw new RangeError('give `ema` or `emaDecay`, not both.');
  for (const name of Object.keys(averages))
    if (!/^[\w-]+$/.test(name))
      throw new RangeError(`the average's name is "${name}"; it may hold letters, digits, "_" and "-".`);
  const first = emaDecay === undefined ? ema : exponential(emaDecay);
  return { ...(first ? { [EMA]: first } : {}), ...averages };
}
