import { checkInteger, eager, free, mapLeaves, scoped } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { scalar } from '@tensorflow/tfjs-core';
import { historyOf } from './history.js';
import { NonFiniteError } from './non-finite.js';
import { checkGradients, type OptimizeOptions, type OptimizeResult, rulesOf, startOf } from './optimize-options.js';
import { breathe, progressOf, unlessAborted } from './run-limits.js';
import {
  numbersOf,
  type StepInputs,
  type StepNumbers,
  type StepParts,
  type StepResult,
  type StepState,
  trainStep,
} from './step.js';
import { layoutOf, packState, unpackState } from './training-state.js';

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
  const { loss, inputs, optimizer, reduce, accumulate = 1, skipLimit = 10, signal, runtime = eager } = options;
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
  free(first);
  const history = historyOf(from);
  const began = performance.now() - 1000 * (from.seconds ?? 0);
  const seconds = () => (performance.now() - began) / 1000;
  const key = options.key ?? from.key;
  const stateOf = (step: number) =>
    ({
      step,
      ...scoped(() => unpackState(session.read(), layout)),
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
      await options.onStep?.({
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
    await walk().finally(() => (known ? options.onEnd?.(() => stateOf(taken)) : undefined));
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
    free([data, scalars]);
  }
  const values: number[] = [];
  for (const result of [results.loss, results.norm]) {
    if (read) values.push((await result.data<'float32'>())[0] as number);
    result.dispose();
  }
  return values as [number, number];
}
