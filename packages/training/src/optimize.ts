import { checkInteger, type Parameters } from '@logsnr/core';
import { dispose, getGradient, type Scalar, scalar, type Tensor, type TensorContainer } from '@tensorflow/tfjs-core';
import { ema as averageOf } from './ema.js';
import type { Optimizer } from './optimizer.js';
import { type Compile, type Step, type StepInputs, trainStep } from './step.js';
import { layoutOf, packState, type TrainingState, unpackState } from './training-state.js';

/** What is known after each step. */
export interface StepReport {
  /** Steps taken so far, from 1. */
  readonly step: number;
  readonly loss: number;
  /** How much of the run is over, in [0, 1]. */
  readonly progress: number;
  /** Seconds since the run began. */
  readonly seconds: number;
  /** Of this step alone. */
  readonly imagesPerSecond: number;
  /** A copy of the state now, which the caller owns: for a checkpoint, or to sample from. Only within `onStep`. */
  snapshot(): TrainingState;
}

/** When a run ends: whichever of these comes first. At least one of `steps` and `minutes` must be given. */
export interface RunLimits {
  /** Total steps, those of an earlier part of the run included. */
  readonly steps?: number;
  /** Minutes from now. Progress then follows the clock, so a rate that depends on it differs from run to run. */
  readonly minutes?: number;
  /** Stops after the step under way; the state is returned. */
  readonly signal?: AbortSignal;
}

export interface OptimizeOptions<I> extends RunLimits {
  /** The weights to begin with, borrowed. */
  readonly parameters?: Parameters;
  /** Instead of `parameters`: the state of a run to go on with, borrowed. */
  readonly from?: TrainingState;
  /** A scalar, differentiable in the parameters. It may not draw or read: what changes enters through `inputs`. */
  readonly loss: (parameters: Parameters, inputs: I) => Tensor;
  /** The tensors of step `step` (from 0), a function of it alone. They are disposed of after the step. */
  readonly inputs: (step: number) => I | Promise<I>;
  readonly optimizer: Optimizer;
  /** Keep an average of the weights with this decay; see `ema`. None unless given. */
  readonly emaDecay?: number;
  /** Images in a step's inputs, for the speed. 1 unless given. */
  readonly images?: (inputs: I) => number;
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  /** Makes the step fast, e.g. `compile` of @logsnr/tensorflow. Operation by operation unless given. */
  readonly compile?: Compile;
}

export type OptimizeResult = Required<Omit<TrainingState, 'ema'>> &
  TrainingState & {
    /** The loss of every step of this run. */
    readonly losses: readonly number[];
  };

/**
 * The training loop: minimizes any loss of named parameters and inputs. Diffusion's `train` is one use of it, an image
 * classifier another.
 *
 * It reads one number a step, the loss, and lets other work of the process run now and then.
 * @returns the final state, whose tensors the caller owns, and the losses.
 * @throws RangeError on options that do not fit, before any step.
 * @throws Error when a loss is NaN or infinite; it names the step.
 */
export async function optimize<I>(options: OptimizeOptions<I>): Promise<OptimizeResult> {
  const { loss, inputs, optimizer, emaDecay, images = () => 1, onStep, signal, compile } = options;
  checkGradients();
  const from = startOf(options);
  const progressAt = progressOf(options);
  const ema = emaDecay === undefined ? undefined : averageOf(emaDecay);
  const layout = layoutOf(from.parameters);
  const plain = trainStep<I>({ loss, layout, optimizer, ema });
  const takeStep: Step<I> & { readonly dispose?: () => void } = compile ? compile(plain) : plain;
  let state = packState(from, layout, optimizer, ema !== undefined);
  const advance = (inputs: StepInputs<I>): Scalar => {
    const next = takeStep(state, inputs);
    dispose(state as TensorContainer);
    state = next.state;
    return next.loss;
  };
  const losses: number[] = [];
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const rest = breathe();
  try {
    let step = from.step;
    while (progressAt(step, seconds()) < 1 && !signal?.aborted) {
      const before = seconds();
      const numbers = { ...optimizer.scalars(step, progressAt(step, before)), ...ema?.scalars(step) };
      const data = await inputs(step);
      const count = images(data);
      const value = await lossOf(advance, data, numbers);
      step++;
      if (!Number.isFinite(value)) throw new Error(nonFinite(value, step));
      losses.push(value);
      const elapsed = seconds();
      await onStep?.({
        step,
        loss: value,
        progress: progressAt(step, elapsed),
        seconds: elapsed,
        imagesPerSecond: count / Math.max(elapsed - before, 1e-6),
        snapshot: () => unpackState(step, state, layout),
      });
      await rest();
    }
    return { ...unpackState(step, state, layout), losses };
  } finally {
    dispose(state as TensorContainer);
    takeStep.dispose?.();
  }
}

/** Runs a step, disposes of what entered it, and reads the loss. */
async function lossOf<I>(
  advance: (inputs: StepInputs<I>) => Scalar,
  data: I,
  numbers: Readonly<Record<string, number>>,
): Promise<number> {
  const scalars = Object.fromEntries(
    Object.entries(numbers).map(([name, value]): [string, Scalar] => [name, scalar(value, 'float32')]),
  );
  let loss: Scalar;
  try {
    loss = advance({ data, scalars });
  } finally {
    dispose([data, scalars] as unknown as TensorContainer);
  }
  const [value] = await loss.data<'float32'>();
  loss.dispose();
  return value as number;
}

/** tfjs-core alone has operations but not their gradients, which another package registers. */
function checkGradients(): void {
  if (!getGradient('SplitV'))
    throw new Error(
      'TensorFlow.js has no gradients here: call useBackend() of @logsnr/tensorflow first, or import @tensorflow/tfjs.',
    );
}

function startOf<I>({ parameters, from }: OptimizeOptions<I>): TrainingState {
  if (parameters && from) throw new RangeError('give `parameters` to start anew or `from` to go on, not both.');
  if (from) checkInteger('the step of `from`', from.step);
  if (from) return from;
  if (!parameters)
    throw new RangeError('there is nothing to optimize; give `parameters`, or `from` to go on with a run.');
  return { step: 0, parameters };
}

/** The fraction of the run that is over after `step` steps and `seconds`. */
function progressOf({ steps, minutes }: RunLimits): (step: number, seconds: number) => number {
  if (steps === undefined && minutes === undefined)
    throw new RangeError('a run needs an end; give `steps`, `minutes`, or both.');
  if (steps !== undefined) checkInteger('steps', steps, 1);
  if (minutes !== undefined && !(minutes > 0)) throw new RangeError(`minutes is ${minutes}; it must be above 0.`);
  return (step, seconds) =>
    Math.min(1, Math.max(steps === undefined ? 0 : step / steps, minutes === undefined ? 0 : seconds / (60 * minutes)));
}

const nonFinite = (loss: number, step: number): string =>
  `the loss of step ${step} is ${loss}, so training stopped. Lower the learning rate or lengthen its warm-up, clip the gradients (clipNorm), and check that the inputs of step index ${step - 1} are finite.`;

/** Signals, timers and drawing wait for the event loop, which a loop of synchronous steps would starve. */
function breathe(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise<void>((resolve) => setTimeout(resolve));
    last = performance.now();
  };
}
