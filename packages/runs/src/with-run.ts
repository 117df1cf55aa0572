import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkInteger } from '@logsnr/core';
import { explained, type Lock, takeLock } from '@logsnr/io/node';
import type { OptimizeResult, StepReport } from '@logsnr/training';
import { disposeState, NonFiniteError, type TrainingState } from '@logsnr/training';
import { interruptible } from './interrupt.js';
import type { Settings } from './manifest.js';
import { openRecorder, type Samples } from './recorder.js';
import { type Keep, openStore, type Store } from './store.js';

export interface RunOptions {
  /** Where the run lives. Made where it is not there. */
  readonly folder: string;
  /** What the run's numbers depend on: seed, batch size, network… A folder of a run with other settings is refused. */
  readonly settings?: Settings;
  /** The network's shapes, which a checkpoint must fit. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /**
   * When to save: every so many seconds (60 unless given; more where saving would take over a twentieth of the time), or
   * every so many steps.
   */
  readonly save?: { readonly seconds: number } | { readonly steps: number };
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
  /** Called after each step, before anything is saved. */
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  /** Ends the run when it aborts. Unless given, Ctrl-C and SIGTERM save and then end the process. */
  readonly signal?: AbortSignal;
  /**
   * Seconds to wait for space where the disk is full at the end, so that the last steps are not lost. 600 unless given.
   */
  readonly patience?: number;
  /** Where messages go: standard error unless given. */
  readonly say?: (text: string) => void;
}

/** What a training loop takes of a run: `train({ …, ...run })`. */
export interface RunHooks {
  /** The newest checkpoint, borrowed until the first step. None where the run is new. */
  readonly from: TrainingState | undefined;
  readonly onStep: (report: StepReport) => Promise<void>;
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
 * @throws Error, before any step, where the folder is another process's or cannot be written, where no checkpoint is
 *   whole, or where it is of a run with other settings; and at the end where the last state cannot be saved, after
 *   waiting for space where the disk is full. It names the file.
 */
export async function withRun<R extends OptimizeResult>(
  options: RunOptions,
  body: (run: RunHooks) => Promise<R>,
): Promise<R> {
  const { folder, settings = {}, shapes, keep, logEvery = 10, samples, keepAverages } = options;
  const { say = (text: string) => void process.stderr.write(`${text}\n`) } = options;
  checkInteger('logEvery', logEvery, 1);
  if (keepAverages !== undefined) checkInteger('keepAverages', keepAverages, 1);
  if (samples) checkInteger('samples.every', samples.every, 1);
  const timing = timingOf(options.save ?? { seconds: 60 });
  await mkdir(folder, { recursive: true }).catch((error) => {
    throw explained(error, folder);
  });
  const lock = await takeLock(join(folder, 'lock'), { what: 'trains in this folder' });
  let from: TrainingState | undefined;
  let interrupt: ReturnType<typeof interruptible> | undefined;
  try {
    const store = await openStore(join(folder, 'checkpoints'), { settings, warn: say, ...(keep ? { keep } : {}) });
    const found = await store.newest(shapes);
    from = found?.checkpoint;
    if (found) say(`${found.folder}: going on after step ${found.checkpoint.step}.`);
    const recorder = await openRecorder({ folder, every: logEvery, samples, from, warn: say });
    const averages = keepAverages
      ? await openStore(join(folder, 'averages'), { settings, warn: say, keep: { every: 1 } })
      : undefined;
    const saver = saverOf(store, lock, from?.step, say);
    interrupt = options.signal ? undefined : interruptible(say);
    const finish = async (state: TrainingState) => {
      await recorder.flush();
      await saver.last(state, options.patience ?? 600);
    };
    const result = await body({
      from,
      signal: options.signal ?? (interrupt as { signal: AbortSignal }).signal,
      async onStep(report) {
        if (from) disposeState(from);
        from = undefined;
        await options.onStep?.(report);
        await recorder.add(report);
        if (averages && report.step % (keepAverages as number) === 0) await saveAverages(averages, report, say);
        if (saver.saved !== undefined && !timing.due(report.step)) return;
        const began = performance.now();
        await recorder.flush();
        await saver.now(report);
        timing.took((performance.now() - began) / 1000);
      },
    }).catch(async (error) => {
      if (error instanceof NonFiniteError) await finish(error.state).finally(() => disposeState(error.state));
      throw error;
    });
    await finish(result);
    const received = interrupt?.received();
    if (received) {
      say(`${folder}: saved step ${result.step}. Run the same command again to go on.`);
      await lock.release();
      interrupt?.stop();
      process.kill(process.pid, received);
      // Where the program has a listener of its own for the signal, that did not end it.
      await new Promise(() => setTimeout(() => process.exit(130), 500));
    }
    return result;
  } finally {
    interrupt?.stop();
    if (from) disposeState(from);
    await lock.release();
  }
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

/** When checkpoints are due: by steps, or by the clock. */
interface Timing {
  due(step: number): boolean;
  /** Notes how long one took. */
  took(seconds: number): void;
}

/** At most a twentieth of the time goes into saving, however large the state. */
const SHARE = 20;

function timingOf(save: { readonly seconds: number } | { readonly steps: number }): Timing {
  if ('steps' in save) {
    checkInteger('save.steps', save.steps, 1);
    return { due: (step) => step % save.steps === 0, took() {} };
  }
  if (!(save.seconds > 0)) throw new RangeError(`save.seconds is ${save.seconds}; it must be above 0.`);
  const now = () => performance.now() / 1000;
  let next = now() + save.seconds;
  return {
    due: () => now() >= next,
    took(seconds) {
      next = now() + Math.max(save.seconds, SHARE * seconds);
    },
  };
}

function saverOf(store: Store, lock: Lock, saved: number | undefined, say: (text: string) => void) {
  const write = async (state: TrainingState) => {
    await lock.check();
    await store.save(state);
    saved = state.step;
  };
  return {
    /** The step of the newest checkpoint. */
    get saved() {
      return saved;
    },
    async now(report: StepReport) {
      const state = report.snapshot();
      try {
        await write(state);
      } catch (error) {
        await lock.check();
        if (saved === undefined) throw error;
        say(`${(error as Error).message} Training goes on; the newest checkpoint is that of step ${saved}.`);
      } finally {
        disposeState(state);
      }
    },
    async last(state: TrainingState, patience: number) {
      if (saved !== undefined && state.step <= saved) return;
      const until = performance.now() + 1000 * patience;
      for (let told = false; ; told = true) {
        const error = await write(state).then(
          () => undefined,
          (error: NodeJS.ErrnoException) => error,
        );
        if (!error) return;
        const { code = '', message } = error;
        if (!['ENOSPC', 'EDQUOT'].includes(code) || performance.now() >= until) {
          const kept = saved === undefined ? 'nothing is saved' : `the newest checkpoint is that of step ${saved}`;
          throw new Error(`${message} The state of step ${state.step} is not saved; ${kept}.`, { cause: error });
        }
        if (!told) say(`${message} Waiting for space for up to ${patience} s, so that step ${state.step} is not lost.`);
        await new Promise((done) => setTimeout(done, 1000));
      }
    },
  };
}
