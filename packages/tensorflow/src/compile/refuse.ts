import * as tf from '@tensorflow/tfjs-core';

const { fused, image, linalg, losses, math, signal, sparse, string } = tf;

/** The functions of TensorFlow.js by path: `tf.add`, `tf.linalg.qr`, and so on. */
export function functions(): Map<string, { name: string }> {
  const groups = { tf, fused, image, linalg, losses, math, signal, sparse, string };
  return new Map(
    Object.entries(groups).flatMap(([group, members]) =>
      Object.entries<unknown>(members).flatMap(([name, value]): [string, { name: string }][] =>
        typeof value === 'function' ? [[group === 'tf' ? `tf.${name}` : `tf.${group}.${name}`, value]] : [],
      ),
    ),
  );
}

let paths: Map<string, string> | undefined;

/**
 * The operation of TensorFlow.js that runs now, the outermost one, as a user calls it: `tf.linalg.qr`. Undefined where
 * none does.
 */
export function operationNow(): string | undefined {
  for (const { name } of tf.engine().state.scopeStack) {
    const path = name?.endsWith('__op') ? pathOf(name) : undefined;
    if (path !== undefined) return path;
  }
  return undefined;
}

/** An asynchronous operation has no scope; its function is on the stack, some frames of its own further down. */
export function asynchronousNow(): string | undefined {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 50;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  const name = [...stack.matchAll(/\b(\w+Async_)\b/g)].at(-1)?.[1];
  return name && pathOf(name);
}

function pathOf(name: string): string | undefined {
  paths ??= new Map([...functions()].map(([path, { name }]) => [name, path]));
  return paths.get(name);
}

const OUTSIDE = 'Do it outside the function and pass the result as an argument.';

/** The error of an operation that a graph cannot hold; `fallback` is its name where no operation of TensorFlow.js runs. */
export const cannot = (fallback: string, why: string, instead = OUTSIDE): Error =>
  new Error(`compile: ${operationNow() ?? asynchronousNow() ?? fallback} cannot be compiled: ${why}. ${instead}`);
