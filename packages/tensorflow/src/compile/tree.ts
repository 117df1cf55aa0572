import { Tensor } from '@tensorflow/tfjs-core';

/** A tensor, or any nesting of plain objects and arrays with tensors in it; other leaves are carried along. */
export type Tree = unknown;

const isBranch = (tree: unknown): tree is Record<string, unknown> | unknown[] =>
  Array.isArray(tree) ||
  (typeof tree === 'object' && tree !== null && Object.getPrototypeOf(tree) === Object.prototype);

/** The tree with each tensor replaced by what `f` makes of it and its path. */
export function mapTree(tree: Tree, f: (tensor: Tensor, path: string) => unknown, path = ''): Tree {
  if (tree instanceof Tensor) return f(tree, path);
  if (!isBranch(tree)) return tree;
  if (Array.isArray(tree)) return tree.map((item, i) => mapTree(item, f, `${path}[${i}]`));
  return Object.fromEntries(Object.entries(tree).map(([name, item]) => [name, mapTree(item, f, `${path}.${name}`)]));
}

/** Where a tensor stood in a result, by its number among the tensors of that result. */
export class Slot {
  constructor(readonly number: number) {}
}

/** A captured result with its slots filled by tensors. */
export function fillSlots(tree: Tree, tensors: readonly Tensor[]): Tree {
  if (tree instanceof Slot) return tensors[tree.number];
  if (Array.isArray(tree)) return tree.map((item) => fillSlots(item, tensors));
  if (!isBranch(tree)) return tree;
  return Object.fromEntries(Object.entries(tree).map(([name, item]) => [name, fillSlots(item, tensors)]));
}

/** The tensors of a tree, in order. */
export function tensorsOf(tree: Tree): Tensor[] {
  const tensors: Tensor[] = [];
  mapTree(tree, (tensor) => tensors.push(tensor));
  return tensors;
}

const identities = new WeakMap<object, number>();
let identity = 0;

/**
 * What a graph is specific to: structure, shapes and types of the tensors, and the other leaves. Numbers, strings and
 * booleans count by value, functions and class instances by identity.
 */
export function signature(tree: Tree): string {
  return JSON.stringify(
    mapTree(tree, (tensor) => `${tensor.dtype}[${tensor.shape}]`),
    (_, value) => {
      if (typeof value === 'number' && !Number.isFinite(value)) return `#${value}`;
      const opaque = typeof value === 'function' || (typeof value === 'object' && value !== null && !isBranch(value));
      if (!opaque) return value;
      if (!identities.has(value)) identities.set(value, identity++);
      return `#${identities.get(value)}`;
    },
  );
}
