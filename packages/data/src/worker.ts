import { Worker } from 'node:worker_threads';
import { type Prefetched, prefetch } from './prefetch.js';

/**
 * Data of steps from a thread of its own, prepared while this one is busy with a step of training (Node). `module` is a
 * file that calls `serveBatches`; it gets `data` as its argument. Call `stop` at the end, or the thread keeps the
 * process alive.
 * @throws the thread's error, at the step that it failed at.
 */
export function batchWorker<T extends object>(
  module: URL,
  { data, ahead = 2 }: { readonly data?: unknown; readonly ahead?: number } = {},
): Prefetched<T> {
  const worker = new Worker(module, { workerData: data });
  const waiting = new Map<number, { done: (value: T) => void; fail: (error: Error) => void }>();
  let broken: Error | undefined;
  const failAll = (error: Error) => {
    broken = error;
    for (const { fail } of waiting.values()) fail(error);
    waiting.clear();
  };
  worker.on('message', ({ step, result, error }: Answer<T>) => {
    const one = waiting.get(step);
    waiting.delete(step);
    if (error) one?.fail(error);
    else one?.done(result as T);
  });
  worker.on('error', failAll);
  worker.on('exit', (code) => failAll(new Error(`the thread of ${module} ended with ${code}.`)));
  const ask = (step: number) =>
    new Promise<T>((done, fail) => {
      if (broken) return fail(broken);
      waiting.set(step, { done, fail });
      worker.postMessage(step);
    });
  const next = prefetch(ask, { ahead });
  return Object.assign((step: number) => next(step), {
    async stop() {
      await worker.terminate();
      await next.stop();
    },
  });
}

interface Answer<T> {
  readonly step: number;
  readonly result?: T;
  readonly error?: Error;
}
