import { type Prefetched, prefetch } from './prefetch.js';
import { startThread } from './thread.js';

/**
 * Data of steps from a thread of its own, prepared while this one is busy with a step of training (Node). `module` is a
 * file that calls `serveBatches`; it gets `data` as its argument. Call `stop` at the end.
 * @throws the thread's error, at the step that it failed at, with its name, message and stack; at every step when the
 *   thread has ended.
 */
export function batchWorker<T extends object>(
  module: URL,
  { data, ahead = 2 }: { readonly data?: unknown; readonly ahead?: number } = {},
): Prefetched<T> {
  const thread = startThread<number, T>(module, data);
  const next = prefetch(thread.ask, { ahead });
  return Object.assign((step: number) => next(step), {
    async stop() {
      await thread.stop();
      await next.stop();
    },
  });
}
