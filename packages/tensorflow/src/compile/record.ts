import { withoutAnswers } from '@logsnr/core';
import { engine, Variable } from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../native.js';
import { recorder } from './recorder.js';
import { changes, nameOf, type Recording, type Source } from './recording.js';
import { asynchronousNow, cannot, operationNow } from './refuse.js';

let active: Recording | undefined;

/** The recording under way, if any. */
export const recordingNow = (): Recording | undefined => active;

/**
 * Runs `body` with the backend's binding replaced by one that records every operation while it executes it.
 *
 * What a graph cannot hold throws, naming the operation: a read of values that depend on an argument, a random draw in
 * JavaScript or from a generator with hidden state, a result whose shape depends on values, a change of a `tf.Variable`.
 */
export function record<R>(backend: NativeBackend, recording: Recording, body: () => R): R {
  const refused = (name: string, why: string, instead?: string) => () => {
    throw cannot(name, why, instead);
  };
  // A refused read without `await` would be a rejection that nobody handles: it never ends, and is thrown below.
  let refusal: Error | undefined;
  const checkRead = (dataId: object): void => {
    const { id, values } = backend.tensorMap.get(dataId);
    if (values === null && changes(recording, recording.sources.get(id))) throw readRefused(recording, id);
  };
  const { binding } = backend;
  const { get } = backend.tensorMap;
  const alone = 'A function of tensors returns new values; a session keeps a state.';
  const restore = [
    replace(backend, {
      binding: recorder(binding, recording),
      readSync(dataId) {
        checkRead(dataId);
        return Object.getPrototypeOf(backend).readSync.call(backend, dataId);
      },
      async read(dataId) {
        try {
          return backend.readSync(dataId);
        } catch (error) {
          refusal ??= error as Error;
          return new Promise(() => {});
        }
      },
    }),
    replace(backend.tensorMap, {
      get(dataId) {
        if (!backend.tensorMap.has(dataId) && !engine().state.tensorInfo.has(dataId))
          throw new Error(`compile: ${operationNow() ?? 'the function'} is given a tensor that has been disposed of.`);
        return get.call(backend.tensorMap, dataId);
      },
    }),
    replace(Math, {
      random: refused(
        'a random draw in JavaScript',
        'its draw would be the same at every replay',
        'Draw outside, or from a key that is an argument.',
      ),
    }),
    replace(Variable.prototype, { assign: refused('Variable.assign', 'a replay would not assign', alone) }),
    replace(engine(), { makeVariable: refused('tf.variable', 'a replay would make no variable', alone) }),
  ];
  active = recording;
  try {
    const result = withoutAnswers(body);
    if (refusal) throw refusal;
    return result;
  } catch (error) {
    throw refusal ?? error;
  } finally {
    active = undefined;
    for (const undo of restore) undo();
  }
}

/** Replaces members of an object until the function that it returns is called. */
function replace<T extends object>(object: T, members: Partial<T>): () => void {
  const before = Object.keys(members).map((name) => [name, Object.getOwnPropertyDescriptor(object, name)] as const);
  Object.assign(object, members);
  return () => {
    for (const [name, own] of before)
      if (own) Object.defineProperty(object, name, own);
      else Reflect.deleteProperty(object, name);
  };
}

function readRefused({ nodes, sources }: Recording, id: number): Error {
  const node = nodes.find(({ name }) => name === nameOf(sources.get(id) as Source));
  const of = node?.op === 'Placeholder' ? 'an argument' : `the result of ${node?.from ?? node?.op}`;
  const mine = `the function reads the values of ${of} (data, dataSync, array, arraySync, print or toString), and a graph has none before it runs. Return that tensor and read it outside.`;
  const name = operationNow() ?? asynchronousNow();
  return name === undefined ? new Error(`compile: ${mine}`) : cannot(name, 'it reads the values of a tensor');
}
