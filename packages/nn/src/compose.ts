import { flatten } from '@logsnr/core';
import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { type Context, type Module, ParameterSpec, type ParameterSpecs, type Parameters } from './module.js';
import { checkParameters, initialise, shapesOf } from './parameters.js';

type AnyModule = Module<never, unknown>;

/** What a module is made of: its own parameters and other modules, nested under names. Undefined stands for nothing. */
export type Part = ParameterSpec | AnyModule | undefined | readonly Part[] | { readonly [name: string]: Part };

/** A module with its parameters and its context: a function of the input. */
export interface Run<I, O> {
  (input: I): O;
  readonly parameters: Parameters;
}

/** Parts in use. A parameter is its tensor. A module is a function of its input. */
export type Used<P> = P extends ParameterSpec
  ? Tensor
  : P extends Module<infer I, infer O>
    ? Run<I, O>
    : { readonly [K in keyof P]: Used<P[K]> };

const isModule = (part: object): part is AnyModule => 'apply' in part && typeof part.apply === 'function';
const nested = (path: string | undefined, name: string): string => (path ? `${path}.${name}` : name);

/**
 * The one constructor of modules. `parts` are the module's own parameters and the modules that it is made of. A part's
 * parameters stand under the part's name. `body` gets the parts in use, the input and the context.
 *
 * The module that is applied first checks all parameters. It also frees what is made on the way.
 */
export function module<const P extends { readonly [name: string]: Part }, I, O>(
  parts: P,
  body: (parts: Used<P>, input: I, context: Context) => O,
): Module<I, O> {
  const parameters = specsOf(parts) as ParameterSpecs;
  const shapes = shapesOf({ parameters });
  return {
    parameters,
    init: (key) => initialise(parameters, key),
    apply(given, input, context = { train: false }) {
      const plain = (): O => body(use(parts, given, context, context.path) as Used<P>, input, context);
      const { observe, path = '' } = context;
      const run = observe ? () => observe(path, plain) : plain;
      if (context.path !== undefined) return run();
      checkParameters(shapes, given);
      return tidy(run as () => never);
    },
  };
}

function specsOf(part: Part): unknown {
  if (part instanceof ParameterSpec) return part;
  if (isModule(part as object)) return (part as AnyModule).parameters;
  const named = Object.entries(part as object).flatMap(([name, item]) =>
    item === undefined ? [] : [[name, specsOf(item)] as const],
  );
  return Object.fromEntries(named.filter(([, specs]) => Object.keys(flatten(specs as never)).length > 0));
}

function use(part: Part, given: unknown, context: Context, path: string | undefined): unknown {
  if (part === undefined || part instanceof ParameterSpec) return given;
  if (isModule(part)) {
    // A module without parameters has no place among those that are given.
    const parameters = (given ?? {}) as Parameters;
    return Object.assign((input: never) => part.apply(parameters, input, { ...context, path: path ?? '' }), {
      parameters,
    });
  }
  const at = (name: string, item: Part) =>
    use(item, (given as Record<string, unknown> | undefined)?.[name], context, nested(path, name));
  if (Array.isArray(part)) return part.map((item, i) => at(String(i), item));
  return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, at(name, item)]));
}

/** A function of tensors as a module without parameters. */
export const operation = <I, O>(f: (input: I) => O): Module<I, O> => module({}, (_, input: I) => f(input));

/** Modules one after another. Their parameters stand under 0, 1, … */
export function sequential<A, B>(first: Module<A, B>): Module<A, B>;
export function sequential<A, B, C>(first: Module<A, B>, second: Module<B, C>): Module<A, C>;
export function sequential<A, B, C, D>(a: Module<A, B>, b: Module<B, C>, c: Module<C, D>): Module<A, D>;
export function sequential<A, B, C, D, E>(
  a: Module<A, B>,
  b: Module<B, C>,
  c: Module<C, D>,
  d: Module<D, E>,
): Module<A, E>;
export function sequential<T>(...modules: readonly Module<T, T>[]): Module<T, T>;
export function sequential(...modules: readonly Module<unknown, unknown>[]): Module<unknown, unknown> {
  const named = Object.fromEntries(modules.map((each, i) => [String(i), each]));
  return module(named, (runs, input: unknown) => Object.values(runs).reduce((x: unknown, run) => run(x), input));
}
