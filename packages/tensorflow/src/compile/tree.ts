import { isBranch, mapLeaves, tensorsOf } from '@logsnr/core';
import { Tensor } from '@tensorflow/tfjs-core';

/** A tensor, or any nesting of plain objects and arrays with tensors in it; other leaves are carried along. */
export type Tree = unknown;

/** Where a tensor stood in a result, by its number among the tensors of that result. */
export class Slot {
  constructor(readonly number: number) {}
}

/** A captured result with its slots filled by tensors. */
export const fillSlots = (tree: Tree, tensors: readonly Tensor[]): Tree =>
  mapLeaves(tree, (leaf) => (leaf instanceof Slot ? tensors[leaf.number] : leaf));

const identities = new WeakMap<object, number>();
let identity = 0;

/**
 * What a graph is specific to: structure, shapes and types of the tensors, and the other leaves. Numbers, strings and
 * booleans count by value, functions and class instances by identity. It is made at every call, so it is made directly.
 */
export function signature(tree: Tree): string {
  if (tree instanceof Tensor) return `${tree.dtype}[${tree.shape}]`;
  if (Array.isArray(tree)) return `[${tree.map(signature)}]`;
  if (isBranch(tree))
    return `{${Object.entries(tree).map(([name, item]) => `${JSON.stringify(name)}:${signature(item)}`)}}`;
  if (typeof tree === 'string') return JSON.stringify(tree);
  if (typeof tree !== 'function' && (typeof tree !== 'object' || tree === null))
    return Object.is(tree, -0) ? '-0' : `${String(tree)}${typeof tree === 'bigint' ? 'n' : ''}`;
  if (typeof tree === 'object' && !identities.has(tree)) checkNoTensors(tree);
  if (!identities.has(tree)) identities.set(tree, identity++);
  return `#${identities.get(tree)}`;
}

/** A class instance counts by identity, so that a tensor within it would be frozen at what it was at capture. */
function checkNoTensors(instance: object): void {
  const items = instance instanceof Map || instance instanceof Set ? [...instance].flat() : Object.values(instance);
  if (!items.some((item) => tensorsOf(item).length > 0)) return;
  const name = instance.constructor?.name || 'object';
  throw new RangeError(
    `compile: an argument holds a ${name} with tensors in it; only plain objects and arrays may hold tensors. Pass them as such, or close over the ${name}, whose tensors are then constants.`,
  );
}
