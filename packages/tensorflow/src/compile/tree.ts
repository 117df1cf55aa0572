import { createHash } from 'node:crypto';
import { mapLeaves } from '@logsnr/core';
import { Tensor } from '@tensorflow/tfjs-core';

/** A tensor, or any nesting of plain objects and arrays with tensors in it; other leaves are carried along. */
export type Tree = unknown;

/** Where a tensor stood in a result, by its number among the tensors of that result. */
export class Slot {
  constructor(readonly number: number) {}
}

/** A captured result with its slots filled by tensors. Typed arrays are copied: the caller may write into them. */
export const fillSlots = (tree: Tree, tensors: readonly Tensor[]): Tree =>
  mapLeaves(tree, (leaf) =>
    leaf instanceof Slot ? tensors[leaf.number] : ArrayBuffer.isView(leaf) ? structuredClone(leaf) : leaf,
  );

const identities = new WeakMap<object, number>();
let identity = 0;

/**
 * What a graph is specific to: structure, shapes and types of the tensors, and the other leaves. Numbers, strings, booleans
 * and the bytes of typed arrays count by value, functions by identity. It is made at every call.
 * @throws TypeError on other leaves, such as class instances: they could change without making another graph.
 */
export const signature = (tree: Tree): string => JSON.stringify(mapLeaves(tree, described));

function described(leaf: unknown): string {
  if (leaf instanceof Tensor) {
    if (leaf.isDisposed) throw new Error(`compile: a tensor of shape [${leaf.shape}] has been disposed of.`);
    return `${leaf.dtype}[${leaf.shape}]`;
  }
  if (typeof leaf === 'string') return JSON.stringify(leaf);
  if (typeof leaf === 'bigint') return `${leaf}n`;
  if (typeof leaf === 'function') {
    if (!identities.has(leaf)) identities.set(leaf, identity++);
    return `#${identities.get(leaf)}`;
  }
  if (ArrayBuffer.isView(leaf)) {
    const bytes = new Uint8Array(leaf.buffer, leaf.byteOffset, leaf.byteLength);
    return `${leaf.constructor.name} ${createHash('sha256').update(bytes).digest('hex')}`;
  }
  if (leaf === null || leaf === undefined || typeof leaf === 'number' || typeof leaf === 'boolean')
    return Object.is(leaf, -0) ? '-0' : String(leaf);
  const name = typeof leaf === 'object' ? leaf.constructor?.name || 'object' : typeof leaf;
  throw new TypeError(
    `compile: an argument or result holds a value of type ${name}, whose changes would go unseen. Pass tensors, numbers, strings, booleans, functions and typed arrays, in plain objects and arrays; or close over the ${name}, which then counts as it is at the first call.`,
  );
}
