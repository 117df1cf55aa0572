import { checkInteger, free } from '@logsnr/core';

/** When a run ends: whichever of these comes first. At least one of `steps` and `minutes` must be given. */
export interface RunLimits {
  /** Total steps, those of an earlier part of the run included. */
  readonly steps?: number;
  /**
   * Total minutes of training, those of an earlier part of the run included. Progress then follows the clock, so a rate
   * that depends on it differs from run to run.
   */
  readonly minutes?: number;
  /** Stops after the step under way, or where the data of the next is waited for; the state is returned. */
  readonly signal?: AbortSignal;
}

/** The fraction of the run that is over after `step` steps and `seconds`. */
export function progressOf({ steps, minutes }: RunLimits): (step: number, seconds: number) => number {
  if (steps === undefined && minutes === undefined)
    throw new RangeError('a run needs an end; give `steps`, `minutes`, or both.');
  if (steps !== undefined) checkInteger('steps', steps, 1);
  if (minutes !== undefined && !(minutes > 0)) throw new RangeError(`minutes is ${minutes}; it must be above 0.`);
  return (step, seconds) =>
    Math.min(1, Math.max(steps === undefined ? 0 : step / steps, minutes === undefined ? 0 : seconds / (60 * minutes)));
}

/** Signals, timers and drawing wait for the event loop, which a loop of synchronous steps would starve. */
export function breathe(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise<void>((resolve) => setTimeout(resolve));
    last = performance.now();
  };
}

/** The data that `work` gives, or undefined where `signal` aborts first: tensors that come later are disposed of. */
export async function unlessAborted<T>(
  work: T | Promise<T>,
  signal: AbortSignal | undefined,
): Promise<{ readonly data: T } | undefined> {
  if (!(work instanceof Promise)) return { data: work };
  if (!signal) return { data: await work };
  return new Promise((resolve, reject) => {
    const stop = () => {
      resolve(undefined);
      work.then(free, () => {});
    };
    work.then((data) => resolve({ data }), reject).finally(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
}
