import { inspect } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { mapLeaves } from '@logsnr/core';

/** What a thread is sent: a question, and a number of its own for each time that one is asked. */
export interface Question<Q> {
  readonly id: number;
  readonly question: Q;
}

/** What comes back: a result, or an error as plain text, which can always be sent. */
export type Answer<T> = { readonly id: number } & (
  | { readonly result: T }
  | { readonly failure: Pick<Error, 'name' | 'message' | 'stack'> }
);

type Make<Q> = (question: Q) => object | Promise<object>;

/**
 * The other side of `batchWorker`, for the module that it names: answers each step with what `make` returns for it. Typed
 * arrays are copied here, so they may be used again, and the copy moves to the other thread.
 * @param prepare gets the `data` of `batchWorker`, once. What it throws is the error of every step.
 */
export const serveBatches = <D>(prepare: (data: D) => Make<number> | Promise<Make<number>>): Promise<void> =>
  serve(prepare, (step) => `the data of step ${step}`);

/** Answers the questions of `startThread`. `called` is what a result is called in messages. */
export async function serve<D, Q>(
  prepare: (data: D) => Make<Q> | Promise<Make<Q>>,
  called: (question: Q) => string,
): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('serveBatches runs in a thread that batchWorker started.');
  const ready = Promise.resolve(workerData as D).then(prepare);
  port.on('message', async ({ id, question }: Question<Q>) => {
    try {
      const buffers: ArrayBuffer[] = [];
      const result = copied(await (await ready)(question), buffers);
      try {
        port.postMessage({ id, result }, buffers);
      } catch (error) {
        throw new TypeError(
          `${called(question)} cannot go from one thread to another: ${(error as Error).message} Return plain objects, numbers, strings and typed arrays.`,
        );
      }
    } catch (error) {
      const { name, message, stack } = errorOf(error);
      port.postMessage({ id, failure: { name, message, stack } });
    }
  });
  await ready.catch(() => {});
}

/** The result with a copy of every view of bytes; the copies' buffers are added to `buffers`. */
const copied = (result: unknown, buffers: ArrayBuffer[]): unknown =>
  mapLeaves(result, (leaf) => {
    if (!ArrayBuffer.isView(leaf) || !(leaf.buffer instanceof ArrayBuffer)) return leaf;
    const bytes = leaf.buffer.slice(leaf.byteOffset, leaf.byteOffset + leaf.byteLength);
    buffers.push(bytes);
    return Reflect.construct(leaf instanceof Buffer ? Uint8Array : leaf.constructor, [bytes]);
  });

/** What was thrown, as an error. */
export const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(inspect(thrown)));
