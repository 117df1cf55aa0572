import { eager } from '@logsnr/core';
import { engine, getBackend } from '@tensorflow/tfjs-core';
import { type Captured, capture } from './capture.js';
import { type CompileOptions, feeds, newGraphs } from './graphs.js';
import { type Graph, savedModels } from './loader.js';
import { cheaper } from './precision.js';
import { recordingNow } from './record.js';
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
 * `fn` is a pure function of its arguments: tensors, or plain objects and arrays with tensors in them. Other values among
 * them (numbers, strings, typed arrays, functions) are constants of the graph. Another value, shape or type makes another
 * graph. What `fn` closes over, such as a model's weights, counts as it is at the first call; where a `tf.Variable` is
 * among it, an assignment to that makes another graph. The values are those of `fn` itself, to float32 rounding.
 * Arguments are borrowed; the result's tensors are the caller's.
 *
 * Inside another compiled function it becomes part of that one's graph. Under an eager gradient (`tf.grad`), and on a
 * backend other than `tensorflow`, it runs operation by operation.
 * @throws TypeError where `fn` is no function; at a call, on an argument that could change unseen, such as a class instance, and where `fn` is asynchronous.
 * @throws Error naming the operation, at the first call, where a graph cannot hold what `fn` does: it reads values that
 *   depend on the arguments, or draws random numbers of its own. `docs/compile-ops.md` lists the operations.
 */
export function compile<A extends unknown[], R>(fn: (...args: A) => R, options: CompileOptions = {}): Compiled<A, R> {
  if (typeof fn !== 'function') throw new TypeError(`compile takes a function, not ${fn}.`);
  const graphs = newGraphs<Captured & { graph: Graph }>(options);
  const { loader = savedModels } = options;
  const plain = eager.jit(fn);
  const call = (...args: A): R => {
    const outer = recordingNow();
    if (outer) {
      const from = outer.nodes.length;
      const result = plain(...args);
      if (options.precision === 'bfloat16') cheaper(outer, from);
      return result;
    }
    // A gradient needs every operation; a graph is none.
    if (getBackend() !== 'tensorflow' || engine().state.gradientDepth > 0) return plain(...args);
    const { graph, inputs, outputs, result } = graphs.get(signature(args), () => {
      const captured = capture(fn, args, options);
      return { ...captured, graph: load(captured, loader) };
    });
    return fillSlots(result, graph.run(feeds(inputs, args), outputs)) as R;
  };
  return Object.assign(call, { captures: () => graphs.captures, dispose: graphs.dispose });
}
