import { Worker } from 'node:worker_threads';
import { type Answer, errorOf, type Question } from './serve.js';

/** A thread that answers questions. */
export interface Thread<Q, A> {
  /** @throws the thread's error, with its name, message and stack; whatever is asked, where the thread has ended. */
  ask(question: Q): Promise<A>;
  stop(): Promise<void>;
}

/** Starts the module, which calls `serve`, in a thread. The thread keeps the process alive while a question is open. */
export function startThread<Q, A>(module: URL, data?: unknown): Thread<Q, A> {
  const worker = new Worker(module, { workerData: data });
  worker.unref();
  const waiting = new Map<number, { done: (value: A) => void; fail: (error: Error) => void }>();
  let [asked, broken] = [0, undefined as Error | undefined];
  const failAll = (thrown: unknown) => {
    broken ??= errorOf(thrown);
    for (const { fail } of waiting.values()) fail(broken);
    waiting.clear();
  };
  worker.on('message', (answer: Answer<A>) => {
    const one = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (waiting.size === 0) worker.unref();
    if ('failure' in answer) one?.fail(Object.assign(new Error(answer.failure.message), answer.failure));
    else one?.done(answer.result);
  });
  worker.on('error', failAll);
  worker.on('messageerror', failAll);
  worker.on('exit', (code) => failAll(new Error(`the thread of ${module} ended with exit code ${code}.`)));
  return {
    ask: (question) =>
      new Promise((done, fail) => {
        if (broken) return fail(broken);
        const asks: Question<Q> = { id: asked++, question };
        waiting.set(asks.id, { done, fail });
        worker.ref();
        worker.postMessage(asks);
      }),
    stop: async () => void (await worker.terminate()),
  };
}
