import { isBranch, mapLeaves } from '@logsnr/core';
import { Tensor } from '@tensorflow/tfjs-core';

/** A tensor, or any nesting of plain objects and arrays with tensors in it; other leaves are carried along. */
export type Tree = unknown;

/** The tree with each tensor replaced by what `f` makes of it. */
export const mapTree = (tree: Tree, f: (tensor: Tensor) => unknown): Tree =>
  mapLeaves(tree, (leaf) => (leaf instanceof Tensor ? f(leaf) : leaf));

/** Where a tensor stood in a result, by its number among the tensors of that result. */
export class Slot {
  constructor(readonly number: number) {}
}

/** A captured result with its slots filled by tensors. */
export const fillSlots = (tree: Tree, tensors: readonly Tensor[]): Tree =>
  mapLeaves(tree, (leaf) => (leaf instanceof Slot ? tensors[leaf.number] : leaf));

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
