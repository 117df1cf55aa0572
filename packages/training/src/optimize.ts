import { checkInteger, eager, type Key, mapLeaves, type Runtime } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { dispose, getGradient, scalar, type Tensor, type TensorContainer } from '@tensorflow/tfjs-core';
import { type Ema, ema as exponential } from './ema.js';
import { historyOf } from './history.js';
import { NonFiniteError } from './non-finite.js';
import type { Optimizer } from './optimizer.js';
import { breathe, progressOf, type RunLimits, unlessAborted } from './run-limits.js';
import {
  numbersOf,
  type StepInputs,
  type StepNumbers,
  type StepParts,
  type StepResult,
  type StepState,
  trainStep,
} from './step.js';
import { EMA, layoutOf, packState, type TrainingState, unpackState } from './training-state.js';

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

/**
 * The training loop: minimizes any loss of named parameters and inputs. Diffusion's `train` is one use of it, an image
 * classifier another.
 *
 * A step whose loss or gradient is not finite changes nothing but its own number; it is counted in `skipped`. The loop
 * reads two numbers a step, the loss and the gradient's norm, and lets other work of the process run now and then.
 * @returns the final state, whose tensors the caller owns; its losses are of all steps, those of `from` included.
 * @throws RangeError on options that do not fit, before any step.
 * @throws NonFiniteError after `skipLimit` skipped steps in a row; `onEnd` is then given the state before them.
 */
export async function optimize<I, P extends Parameters = Parameters>(
  options: OptimizeOptions<I, P>,
): Promise<OptimizeResult<P>> {
  const {
    loss,
    inputs,
    optimizer,
    reduce,
    accumulate = 1,
    skipLimit = 10,
    onStep,
    onEnd,
    signal,
    runtime = eager,
  } = options;
  checkGradients();
  checkInteger('accumulate', accumulate, 1);
  checkInteger('skipLimit', skipLimit, 1);
  const from = startOf(options);
  const progressAt = progressOf(options);
  const averages = rulesOf(options);
  const layout = layoutOf(from.parameters, optimizer);
  const first = packState(from, { layout, optimizer, averages: Object.keys(averages), accumulate });
  const parts: StepParts<I> = { loss: loss as StepParts<I>['loss'], layout, optimizer, averages, accumulate, reduce };
  const advance = trainStep(parts);
  let known = true;
  const session = runtime.session<StepState, StepInputs<I>, StepResult>((state, inputs) => {
    try {
      return advance(state, inputs);
    } catch (error) {
      known = true; // Nothing was changed yet.
      throw error;
    }
  }, first);
  dispose(first as unknown as TensorContainer);
  const stored = () => {
    const state = session.read();
    try {
      return unpackState(state, layout);
    } finally {
      dispose(state as unknown as TensorContainer);
    }
  };
  const history = historyOf(from);
  const began = performance.now() - 1000 * (from.seconds ?? 0);
  const seconds = () => (performance.now() - began) / 1000;
  const key = options.key ?? from.key;
  const stateOf = (step: number) =>
    ({
      step,
      ...stored(),
      ...history.upTo(step),
      seconds: seconds(),
      ...(key ? { key } : {}),
    }) as unknown as OptimizeResult<P>;
  const rest = breathe();
  let taken = from.step;
  const walk = async () => {
    while (progressAt(taken, seconds()) < 1 && !signal?.aborted) {
      const before = seconds();
      const progress = progressAt(taken, before);
      let [count, wait, loss, norm] = [0, 0, 0, 0];
      for (let part = 0; part < accumulate; part++) {
        const asked = performance.now();
        const given = await unlessAborted(inputs(taken, part), signal);
        if (!given) return;
        const { data } = given;
        wait += (performance.now() - asked) / 1000;
        count += options.images?.(data) ?? 1;
        const numbers = numbersOf(parts, taken, progress, part);
        known = false;
        [loss, norm] = await valuesOf(session.run, data, numbers, part === accumulate - 1);
        known = true;
      }
      const step = taken + 1;
      const row = history.add(step, loss, norm);
      taken = row < skipLimit ? step : step - row;
      if (taken < step) throw new NonFiniteError(step, row, loss, norm);
      const elapsed = seconds();
      await onStep?.({
        step,
        loss,
        norm,
        progress: progressAt(step, elapsed),
        seconds: elapsed,
        images: count,
        imagesPerSecond: count / Math.max(elapsed - before, 1e-6),
        wait,
        skipped: history.skipped.length,
        snapshot: () => stateOf(step),
      });
      await rest();
    }
  };
  try {
    await walk().finally(() => (known ? onEnd?.(() => stateOf(taken)) : undefined));
    return stateOf(taken);
  } finally {
    session.dispose();
  }
}

/** Runs a step on one part of its batch, disposes of what entered it, and reads the loss and the norm if asked to. */
async function valuesOf<I>(
  advance: (inputs: StepInputs<I>) => StepResult,
  data: I,
  numbers: StepNumbers,
  read: boolean,
): Promise<[number, number]> {
  const scalars = mapLeaves(numbers, (value) => scalar(value as number, 'float32')) as StepInputs<I>['scalars'];
  let results: StepResult;
  try {
    results = advance({ data, scalars });
  } finally {
    dispose([data, scalars] as unknown as TensorContainer);
  }
  const values: number[] = [];
  for (const result of [results.loss, results.norm]) {
    if (read) values.push((await result.data<'float32'>())[0] as number);
    result.dispose();
  }
  return values as [number, number];
}

/** tfjs-core alone has operations but not their gradients, which another package registers. */
function checkGradients(): void {
  if (!getGradient('SplitV'))
    throw new Error(
      'TensorFlow.js has no gradients here: call useBackend() of @logsnr/tensorflow first, or import @tensorflow/tfjs.',
    );
}

function startOf<I, P extends Parameters>({ parameters, from, key }: OptimizeOptions<I, P>): TrainingState {
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
function rulesOf<I, P extends Parameters>({
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
