import { type Jitted, tensorsOf } from '@logsnr/core';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { type Row, rows } from './operations.js';

/** What comes of a function that is compiled: its values, an error that says why not, or `absent`, as it fails also eager. */
export type Result = 'compiled' | 'absent' | Error;
export interface Outcome {
  path: string;
  value: Result;
  /** `absent` also where the arguments are no float32 tensors. */
  gradient: Result;
}

/**
 * Compiles a call of each operation, and its gradient, and runs them on two sets of arguments.
 * @throws Error where one gives other values than eager, or has no eager value for another reason than a missing kernel.
 */
export async function sweep(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [path, [call, ...args]] of Object.entries(rows)) {
    const run = call as Run;
    const value = await resultOf(path, run, args, /^Kernel '\w+' not registered/);
    const floats = args.flatMap((argument, i) => (tf.tidy(() => argument(0).dtype === 'float32') ? [i] : []));
    const differentiable = value === 'compiled' && floats.length > 0;
    outcomes.push({
      path,
      value,
      gradient: differentiable ? await resultOf(path, gradientOf(run, floats), args, /gradient|stack|addN/) : 'absent',
    });
  }
  return outcomes;
}

type Run = (...tensors: tf.Tensor[]) => unknown;

/** The gradient of the sum of squares of a call's results in some of its arguments. */
function gradientOf(call: Run, places: readonly number[]): Run {
  return (...given) => {
    const loss = (...chosen: tf.Tensor[]) => {
      const results = tensorsOf(call(...given.map((tensor, i) => chosen[places.indexOf(i)] ?? tensor)));
      return tf.addN(results.filter(({ dtype }) => dtype === 'float32').map((tensor) => tf.sum(tf.square(tensor))));
    };
    return tf.grads(loss)(given.filter((_, i) => places.includes(i)));
  };
}

/** @param absence what an eager error says where the operation or its gradient does not exist. */
async function resultOf(path: string, call: Run, args: readonly Row[1][], absence: RegExp): Promise<Result> {
  const compiled: Jitted<tf.Tensor[], unknown> = native().jit(call);
  try {
    for (const set of [0, 1] as const) {
      const given = args.map((argument) => (argument as (set: 0 | 1) => tf.Tensor)(set));
      const eager = await attempt(() => call(...given));
      const found = await attempt(() => compiled(...given));
      if (eager instanceof Error) {
        if (!absence.test(eager.message)) throw new Error(`${path}: ${eager.message}`);
        if (!(found instanceof Error)) throw new Error(`${path} has a value compiled, and none eager.`);
        return 'absent';
      }
      if (found instanceof Error) return found;
      compare(path, tensorsOf(found), tensorsOf(eager));
    }
    return 'compiled';
  } finally {
    compiled.dispose();
  }
}

async function attempt(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return error as Error;
  }
}

function compare(path: string, found: tf.Tensor[], wanted: tf.Tensor[]): void {
  const show = (tensors: tf.Tensor[]) => JSON.stringify(tensors.map((t) => [t.dtype, t.shape, [...t.dataSync()]]));
  const equal = (a: tf.Tensor, b: tf.Tensor | undefined) => {
    const values = b?.dataSync();
    return (
      values !== undefined &&
      a.dtype === b?.dtype &&
      tf.util.arraysEqual(a.shape, b.shape) &&
      a.dataSync().every((value: number, i: number) => near(value, values[i] as number))
    );
  };
  if (wanted.length === 0 || found.length !== wanted.length || !found.every((tensor, i) => equal(tensor, wanted[i])))
    throw new Error(`${path} gives ${show(found)} compiled, and ${show(wanted)} eager.`);
}

const near = (a: number, b: number) => Object.is(a, b) || Math.abs(a - b) <= 1e-5 * (1 + Math.abs(b));

/** The page `docs/compile-ops.md`. */
export function pageOf(outcomes: readonly Outcome[]): string {
  const list = (paths: readonly string[]) =>
    [...paths]
      .sort()
      .map((path) => `\`${path}\``)
      .join(', ');
  const section = (title: string, text: string, chosen: (outcome: Outcome) => boolean) => {
    const paths = outcomes.filter(chosen).map(({ path }) => path);
    return paths.length === 0 ? [] : [`## ${title} (${paths.length})`, `${text}: ${list(paths)}.`];
  };
  const refused = outcomes.filter(({ value }) => value instanceof Error);
  const reasonOf = ({ value }: Outcome) => /compiled: (.*?)\. /.exec((value as Error).message)?.[1] ?? '';
  const reasons = [...new Set(refused.map(reasonOf))];
  return `${[
    '# What `compile` takes',
    `Written by \`pnpm compile-ops\`. It calls each operation of TensorFlow.js ${tf.version_core} with two sets of small arguments on the native backend, by itself and compiled. What compiles gives the same values, to 1e-5. Everything else is refused by name, while the function is recorded. A test does the same.`,
    ...section(
      'Compiles, and so does its gradient',
      'The methods of tensors are the same operations',
      ({ value, gradient }) => value === 'compiled' && gradient === 'compiled',
    ),
    ...section(
      'Compiles',
      'TensorFlow.js has no gradient of the operation, or of the call that was made',
      ({ value, gradient }) => value === 'compiled' && gradient === 'absent',
    ),
    `## Is refused (${refused.length})`,
    'Do it outside the compiled function, and pass the result as an argument.',
    reasons
      .map((reason) => {
        const group = refused.filter((outcome) => reasonOf(outcome) === reason);
        return `- ${reason}: ${list(group.map(({ path }) => path))}`;
      })
      .join('\n'),
    'A function that reads the values of a tensor itself (`data`, `dataSync`, `array`, `arraySync`, `print`) is refused where they depend on an argument; the message says which operation gave the tensor. So is one that assigns to a `tf.Variable`, or is asynchronous.',
    ...section(
      'Is not there',
      'The native backend has no kernel for them, compiled or not',
      ({ value }) => value === 'absent',
    ),
  ].join('\n\n')}\n`;
}
