import { checkChoice, checkInteger, tensorsOf } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Captured, type Compute, isCurrent } from './capture.js';
import type { Graph, GraphLoader } from './loader.js';
import type { Tree } from './tree.js';

export interface CompileOptions extends Compute {
  /** How many graphs, one a signature of the arguments, are kept; the one unused longest goes. Default 8. */
  cacheSize?: number;
  /** What runs the graphs. Default: sessions of the stock binding. */
  loader?: GraphLoader;
}

/** Graphs by signature, the least recently used dropped first. */
export interface Graphs<G> {
  readonly captures: number;
  /** Whether there is a graph for it, made with the variables' values of now. */
  has(signature: string): boolean;
  get(signature: string, make: () => G): G;
  dispose(): void;
}

/** @throws RangeError on options out of their range. */
export function newGraphs<G extends { graph: Graph } & Pick<Captured, 'variables'>>({
  cacheSize = 8,
  precision = 'float32',
}: CompileOptions): Graphs<G> {
  checkInteger('cacheSize', cacheSize, 1);
  checkChoice('precision', precision, ['float32', 'bfloat16']);
  const kept = new Map<string, G>();
  let captures = 0;
  const current = (signature: string): G | undefined => {
    const found = kept.get(signature);
    return found && isCurrent(found) ? found : undefined;
  };
  return {
    get captures() {
      return captures;
    },
    has: (signature) => current(signature) !== undefined,
    get(signature, make) {
      const before = kept.get(signature);
      const found = current(signature) ?? make();
      if (found !== before) {
        before?.graph.dispose();
        captures++;
      }
      kept.delete(signature);
      kept.set(signature, found);
      for (const [oldest, { graph }] of kept) {
        if (kept.size <= cacheSize) break;
        graph.dispose();
        kept.delete(oldest);
      }
      return found;
    },
    dispose() {
      for (const { graph } of kept.values()) graph.dispose();
      kept.clear();
    },
  };
}

/** The tensors of a tree at the places captured for them. */
export const feeds = (places: readonly string[], tree: Tree): (readonly [string, Tensor])[] =>
  tensorsOf(tree).map((tensor, i) => [places[i] as string, tensor] as const);
