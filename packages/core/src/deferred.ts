import { engine, keep } from '@tensorflow/tfjs-core';
import { scoped } from './scoped.js';
import { free, mapTensors, tensorsOf } from './tree.js';

/** What is thrown through a body that asks for an answer which is not there yet. */
class Question {
  constructor(readonly answer: () => Promise<Answer>) {}
}

/** What a deferred function answered, and to what. */
interface Answer {
  readonly of: unknown;
  readonly shapes: string;
  readonly value: unknown;
}

/** One run of a body: the answers so far, in the order in which they are asked for. */
let replay: { readonly answers: readonly Answer[]; next: number } | undefined;

/**
 * An asynchronous function in the place of a synchronous one, so that a network whose call returns a promise can be a model's, guided by
 * any method. {@link settle} awaits it. `sampleAsync` of `@logsnr/samplers` does so at every step.
 * @param ask a function of its arguments, which it borrows until its promise ends. Tensors in what it gives are the caller's.
 * @returns a function that throws a TypeError, in use, where nobody awaits it, and within a gradient.
 */
export function deferred<A extends unknown[], R>(ask: (...args: A) => Promise<R>): (...args: A) => R {
  return (...args) => {
    if (!replay)
      throw new TypeError(
        'the model answers later, by a promise, and nobody awaits it here; sample with sampleAsync or trajectoryAsync of @logsnr/samplers, or call the model within settle of @logsnr/core. It cannot be part of a compiled graph.',
      );
    if (engine().state.gradientDepth > 0)
      throw new TypeError(
        'the model answers later, so it has no gradient; a method that differentiates through the model needs one whose network runs here.',
      );
    const shapes = tensorsOf(args)
      .map(({ dtype, shape }) => `${dtype} [${shape}]`)
      .join();
    const known = replay.answers[replay.next++];
    if (!known) {
      const own = mapTensors(args, (tensor) => keep(tensor.clone()));
      throw new Question(async () => {
        try {
          return { of: ask, shapes, value: await ask(...own) };
        } finally {
          free(own);
        }
      });
    }
    if (known.of !== ask || known.shapes !== shapes)
      throw new Error(
        'a function that is settled asked for something else when it was run again; it must be a pure function, which asks the same each time.',
      );
    return mapTensors(known.value as R, (value) => value.clone());
  };
}

/**
 * What `body` returns, with all answers of {@link deferred} functions awaited. Wherever one is not there yet, `body` is left, the answer
 * awaited, and `body` run again from its beginning: for k answers, one after another, it runs k + 1 times. The event loop goes on meanwhile.
 * @param body a pure function; of the tensors that it makes, those in its result are kept, the caller's.
 */
export async function settle<R>(body: () => R): Promise<R> {
  const answers: Answer[] = [];
  try {
    for (;;) {
      const asked = attempt(body, answers);
      if (!(asked instanceof Question)) return asked;
      answers.push(await asked.answer());
    }
  } finally {
    free(answers.map(({ value }) => value));
  }
}

function attempt<R>(body: () => R, answers: readonly Answer[]): R | Question {
  try {
    return during({ answers, next: 0 }, () => scoped(body));
  } catch (error) {
    if (error instanceof Question) return error;
    throw error;
  }
}

/** Runs `body` where no deferred function can be asked: what records a graph would keep one answer for ever. */
export const withoutAnswers = <R>(body: () => R): R => during(undefined, body);

function during<R>(now: typeof replay, body: () => R): R {
  const before = replay;
  replay = now;
  try {
    return body();
  } finally {
    replay = before;
  }
}
