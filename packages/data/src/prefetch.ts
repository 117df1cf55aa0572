import { checkInteger } from '@logsnr/core';

/** Steps' data, asked for step by step. */
export interface Prefetched<T> {
  (step: number): Promise<T>;
  /** Waits for what is under way and hands each result to `release`. */
  stop(): Promise<void>;
}

/**
 * Asks for the data of the next steps before they are wanted: the call for step t has `make` called for t … t + `ahead`.
 * Steps may be asked for in any order. What was prepared and is not wanted is released.
 *
 * A step of training keeps this thread busy, so time is saved only where `make` works elsewhere: it reads files, waits for
 * the network, or asks another thread (`batchWorker`).
 * @param release frees a result that is not wanted after all, such as its tensors.
 */
export function prefetch<T>(
  make: (step: number) => Promise<T>,
  { ahead = 1, release = () => {} }: { readonly ahead?: number; readonly release?: (result: T) => void } = {},
): Prefetched<T> {
  checkInteger('ahead', ahead, 1);
  const pending = new Map<number, Promise<T>>();
  const begin = (step: number) => {
    if (pending.has(step)) return;
    const result = make(step);
    // Where it fails, the step that wants it hears of it.
    result.catch(() => {});
    pending.set(step, result);
  };
  const drop = async (step: number) => {
    const result = pending.get(step);
    pending.delete(step);
    await result?.then(release, () => {});
  };
  const get = (step: number): Promise<T> => {
    for (const other of [...pending.keys()]) if (other < step || other > step + ahead) drop(other);
    for (let next = step; next <= step + ahead; next++) begin(next);
    const wanted = pending.get(step) as Promise<T>;
    pending.delete(step);
    return wanted;
  };
  return Object.assign(get, {
    stop: async () => {
      await Promise.all([...pending.keys()].map(drop));
    },
  });
}
