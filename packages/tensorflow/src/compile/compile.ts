import { getBackend } from '@tensorflow/tfjs-core';
import { type Captured, capture } from './capture.js';
import { type CompileOptions, feeds, newGraphs } from './graphs.js';
import { type Graph, savedModels } from './loader.js';
import { fillSlots, signature } from './tree.js';
import { load } from './variables.js';

/** A function and its graphs. */
export interface Compiled<A extends unknown[], R> {
  (...args: A): R;
  /** How many graphs have been captured so far. */
  captures(): number;
  /** Frees all graphs. The function can be called again, and captures anew. */
  dispose(): void;
}

/**
 * `fn` as one TensorFlow graph, captured at the first call and replayed at the next ones.
 *
 * `fn` must be a pure function of its arguments: tensors, or plain objects and arrays that hold tensors. Other values
 * among them (numbers, strings, functions) are constants of the graph, so another value makes another graph, and so does
 * another shape or type. Tensors that `fn` closes over, such as a model's weights, are taken as they are at that first
 * call. The same values come out as from `fn` itself, to float32 rounding. The arguments are borrowed;
 * the result's tensors are the caller's. On a backend other than `tensorflow` it is `fn` itself.
 * @throws Error naming the operation, at the first call, where `fn` cannot be captured: it reads a tensor's values or draws
 *   random numbers of its own.
 */
export function compile<A extends unknown[], R>(fn: (...args: A) => R, options: CompileOptions = {}): Compiled<A, R> {
  const graphs = newGraphs<Captured & { graph: Graph }>(options);
  const { loader = savedModels } = options;
  const call = (...args: A): R => {
    if (getBackend() !== 'tensorflow') return fn(...args);
    const { graph, inputs, outputs, result } = graphs.get(signature(args), () => {
      const captured = capture(fn, args, options);
      return { ...captured, graph: load(captured, loader) };
    });
    return fillSlots(result, graph.run(feeds(inputs, args), outputs)) as R;
  };
  return Object.assign(call, { captures: () => graphs.captures, dispose: graphs.dispose });
}
