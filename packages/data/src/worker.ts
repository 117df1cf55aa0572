import { Worker } from 'node:worker_threads';
import { type Prefetched, prefetch } from './prefetch.js';
import { type Answer, errorOf, type Question } from './serve-batches.js';

/**
 * Data of steps from a thread of its own, prepared while this one is busy with a step of training (Node). `module` is a
 * file that calls `serveBatches`; it gets `data` as its argument. Call `stop` at the end, or the thread keeps the
 * process alive.
 * @throws the thread's error, at the step that it failed at, with its name, message and stack; at every step when the
 *   thread has ended.
 */
export function batchWorker<T extends object>(
  module: URL,
  { data, ahead = 2 }: { readonly data?: unknown; readonly ahead?: number } = {},
): Prefetched<T> {
  const worker = new Worker(module, { workerData: data });
  const waiting = new Map<number, { done: (value: T) => void; fail: (error: Error) => void }>();
  let [asked, broken] = [0, undefined as Error | undefined];
  const failAll = (thrown: unknown) => {
    broken ??= errorOf(thrown);
    for (const { fail } of waiting.values()) fail(broken);
    waiting.clear();
  };
  worker.on('message', (answer: Answer<T>) => {
    const one = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('failure' in answer) one?.fail(Object.assign(new Error(answer.failure.message), answer.failure));
    else one?.done(answer.result);
  });
  worker.on('error', failAll);
  worker.on('messageerror', failAll);
  worker.on('exit', (code) => failAll(new Error(`the thread of ${module} ended with exit code ${code}.`)));
  const ask = (step: number) =>
    new Promise<T>((done, fail) => {
      if (broken) return fail(broken);
      const question: Question = { id: asked++, step };
      waiting.set(question.id, { done, fail });
      worker.postMessage(question);
    });
  const next = prefetch(ask, { ahead });
  return Object.assign((step: number) => next(step), {
    async stop() {
      await worker.terminate();
      await next.stop();
    },
  });
}
