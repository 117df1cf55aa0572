import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkInteger } from '@logsnr/core';
import { explained, makeFolder, say as sayOnStderr, takeLock } from '@logsnr/io/node';
import { disposeState, type OptimizeResult, type StepReport, type TrainingState } from '@logsnr/training';
import { endBy, interruptible } from './interrupt.js';
import type { Settings } from './manifest.js';
import { openRecorder, type Samples } from './recorder.js';
import { type SaveEvery, saverOf, timingOf } from './saving.js';
import { assertJson } from './settings.js';
import { type Keep, openStore, type Store } from './store.js';

export interface RunOptions {
  /** Where the run lives. Made where it is not there. */
  readonly folder: string;
  /** Begin anew: what the folder has of an earlier run is removed, unless another process is at work in it. */
  readonly fresh?: boolean | undefined;
  /** What the run's numbers depend on: seed, batch size, network… A folder of a run with other settings is refused. */
  readonly settings?: Settings;
  /** The network's shapes, which a checkpoint must fit. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /**
   * When to save: every so many seconds (60 unless given; more where saving would take over a twentieth of the time), or
   * every so many steps.
   */
  readonly save?: SaveEvery;
  /** Which checkpoints stay. The newest three unless given. */
  readonly keep?: Keep;
  /**
   * Keep the further averages (`averages` of `train`) of every so many steps for good, for `reconstructEma`. None
   * unless given.
   */
  readonly keepAverages?: number;
  /** Steps between lines of `metrics.jsonl` and points in TensorBoard. 10 unless given. */
  readonly logEvery?: number;
  readonly samples?: Samples;
  /**
   * Called after each step, before its checkpoint. It is part of the run: where it throws, the step is saved and the
   * error passed on. One that only reports, such as `progressLine().update`, should throw nothing.
   */
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  /**
   * Ends the run when it aborts. Unless given, Ctrl-C, SIGTERM and a hangup save and then end the process, and an error
   * that nothing catches saves and is then thrown.
   */
  readonly signal?: AbortSignal;
  /**
   * Seconds to wait for space where the disk is full at the end, so that the last steps are not lost. 600 unless given.
   */
  readonly patience?: number;
  /** Where messages go: standard error unless given. It only reports: where it throws or rejects, the run goes on. */
  readonly say?: (text: string) => void;
}

/** What a training loop takes of a run: `train({ …, ...run })`. */
export interface RunHooks {
  /** The newest checkpoint, borrowed until the first step. None where the run is new. */
  readonly from: TrainingState | undefined;
  readonly onStep: (report: StepReport) => Promise<void>;
  readonly onEnd: (snapshot: () => TrainingState) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Trains in a run folder, so that the same command goes on where it was stopped, at whatever moment: `body` calls
 * `train` or `optimize` with the hooks. A step being a function of (state, key, step) alone, the final weights are bit
 * for bit those of a run that was never stopped, on the same backend and unless the rate follows the clock.
 *
 * In the folder: `checkpoints/step-…/` (see `openStore`), `metrics.jsonl`, TensorBoard's events, `samples/`,
 * `averages/`, and `lock`, which keeps other processes out. A checkpoint is saved at the first step, so that a folder
 * that cannot be written is known at once; then as `save` says, and at the end. One that cannot be saved later is a
 * warning: the earlier ones stay, training goes on, and the next one is tried.
 * @returns what `body` does.
 * @throws RangeError on settings that JSON does not keep, before anything is written.
 * @throws Error, before any step, where the folder is another process's or cannot be written, where no checkpoint is
 *   whole, or where it is of a run with other settings; and at the end where the last state cannot be saved, after
 *   waiting for space where the disk is full. It names the file.
 */
export async function withRun<R extends OptimizeResult>(
  options: RunOptions,
  body: (run: RunHooks) => Promise<R>,
): Promise<R> {
  const { folder, settings = {}, shapes, keep, logEvery = 10, samples, keepAverages, patience = 600 } = options;
  const say = tolerantOf(options.say ?? sayOnStderr);
  assertJson(settings, 'settings');
  checkInteger('logEvery', logEvery, 1);
  if (keepAverages !== undefined) checkInteger('keepAverages', keepAverages, 1);
  if (samples) checkInteger('samples.every', samples.every, 1);
  const timing = timingOf(options.save ?? { seconds: 60 });
  await makeFolder(folder).catch((error) => {
    throw explained(error, folder);
  });
  const lock = await takeLock(join(folder, 'lock'), { what: 'trains in this folder' });
  let from: TrainingState | undefined;
  const release = () => {
    if (from) disposeState(from);
    from = undefined;
  };
  const interrupt = options.signal ? undefined : interruptible(say);
  try {
    if (options.fresh) await clear(folder);
    const store = await openStore(join(folder, 'checkpoints'), { settings, warn: say, ...(keep ? { keep } : {}) });
    const found = await store.newest(shapes);
    from = found?.checkpoint;
    if (found) say(`${found.folder}: going on after step ${found.checkpoint.step}.`);
    const recorder = await openRecorder({ folder, every: logEvery, samples, from, warn: say });
    const averages = keepAverages
      ? await openStore(join(folder, 'averages'), { settings, warn: say, keep: { every: 1 } })
      : undefined;
    const saver = saverOf(store, lock, from?.step, say);
    let ended = false;
    let fault: Error | undefined;
    const finish = async (state: TrainingState) => {
      ended = true;
      await recorder.flush();
      await saver.last(state, patience);
    };
    const result = await body({
      from,
      signal: options.signal ?? (interrupt as { signal: AbortSignal }).signal,
      async onStep(report) {
        release();
        await recorder.add(report);
        await options.onStep?.(report);
        if (averages && report.step % (keepAverages as number) === 0) await saveAverages(averages, report, say);
        if (saver.any() && !timing.due(report.step)) return;
        const began = performance.now();
        await recorder.flush();
        await saver.now(report);
        timing.took((performance.now() - began) / 1000);
      },
      async onEnd(snapshot) {
        const state = snapshot();
        await finish(state).catch((error) => {
          fault = error;
        });
        disposeState(state);
      },
    }).catch((error) => {
      if (fault) say(fault.message);
      throw error;
    });
    if (fault) {
      disposeState(result);
      throw fault;
    }
    if (!ended) await finish(result);
    const cause = interrupt?.cause();
    const where = result.step === 0 ? 'stopped before the first step' : `saved step ${result.step}`;
    if (cause) say(`${folder}: ${where}. Run the same command again to go on.`);
    if (cause && 'error' in cause) throw cause.error;
    if (cause) {
      await lock.release();
      interrupt?.stop();
      return await endBy(cause.signal);
    }
    return result;
  } finally {
    interrupt?.stop();
    release();
    await lock.release().catch((error) => say(error.message));
  }
}

/** Messages are for people: where one cannot be shown, at once or later, nothing else comes of it. */
const tolerantOf = (say: (text: string) => void) => (text: string) => {
  new Promise<void>((done) => done(say(text))).catch(() => {});
};

/** Removes what a folder has of a run, but for the lock. */
async function clear(folder: string): Promise<void> {
  const own = /^(checkpoints|averages|samples|metrics\.jsonl|events\.out\.tfevents\..*)$/;
  for (const name of await readdir(folder))
    if (own.test(name)) await rm(join(folder, name), { recursive: true, force: true });
}

async function saveAverages(store: Store, report: StepReport, say: (text: string) => void): Promise<void> {
  const state = report.snapshot();
  try {
    await store.save({ step: state.step, parameters: {}, averages: state.averages ?? {} });
  } catch (error) {
    say(`${(error as Error).message} Training goes on without the averages of step ${state.step}.`);
  } finally {
    disposeState(state);
  }
}
