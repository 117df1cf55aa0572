import { checkInteger } from '@logsnr/core';
import type { Lock } from '@logsnr/io/node';
import { disposeState, type StepReport, type TrainingState } from '@logsnr/training';
import type { Store } from './store.js';

/** When to save: every so many seconds, or every so many steps. */
export type SaveEvery = { readonly seconds: number } | { readonly steps: number };

/** When checkpoints are due: by steps, or by the clock. */
interface Timing {
  due(step: number): boolean;
  /** Notes how long one took. */
  took(seconds: number): void;
}

/** At most a twentieth of the time goes into saving, however large the state. */
const SHARE = 20;

export function timingOf(save: SaveEvery): Timing {
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

/** Saves a run's checkpoints while this process has its lock. `saved` is the step of the newest one. */
export function saverOf(store: Store, lock: Lock, saved: number | undefined, say: (text: string) => void) {
  let over = false; // `now` threw: there is no use in trying once more.
  const write = async (state: TrainingState) => {
    await lock.check();
    await store.save(state);
    saved = state.step;
  };
  const kept = async () => {
    const newest = (await store.steps()).at(-1);
    return newest === undefined ? 'no checkpoint is there' : `the newest checkpoint is that of step ${newest}`;
  };
  return {
    /** Whether there has been one. */
    any: () => saved !== undefined,
    /** Saves the state after a step. Once there is a checkpoint, one that cannot be saved is a warning. */
    async now(report: StepReport) {
      const state = report.snapshot();
      try {
        await write(state);
      } catch (error) {
        over = true;
        await lock.check();
        if (saved === undefined) throw error;
        over = false;
        say(`${(error as Error).message} Training goes on; ${await kept()}.`);
      } finally {
        disposeState(state);
      }
    },
    /** Saves the last state; where the disk is full, waits for space for `patience` seconds. */
    async last(state: TrainingState, patience: number) {
      if (over || state.step === 0) return;
      if (saved !== undefined && state.step <= saved && (await store.steps()).includes(saved)) return;
      const until = performance.now() + 1000 * patience;
      for (let told = false; ; told = true) {
        const error = await write(state).then(
          () => undefined,
          (error: NodeJS.ErrnoException) => error,
        );
        if (!error) return;
        const { code = '', message } = error;
        if (!['ENOSPC', 'EDQUOT'].includes(code) || performance.now() >= until)
          throw new Error(`${message} The state of step ${state.step} is not saved; ${await kept()}.`, {
            cause: error,
          });
        if (!told) say(`${message} Waiting for space for up to ${patience} s, so that step ${state.step} is not lost.`);
        await new Promise((done) => setTimeout(done, 1000));
      }
    },
  };
}
