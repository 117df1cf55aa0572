import { dispose, Tensor, type TensorContainer } from '@tensorflow/tfjs-core';

/** Leaves in plain objects and arrays, nested as one likes. A leaf alone is a tree. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [name: string]: Tree<T> };

/** Whether a value is a plain object or an array, whose members are part of the tree. Everything else is a leaf. */
export const isBranch = (value: unknown): value is Record<string, unknown> | unknown[] =>
  Array.isArray(value) ||
  (typeof value === 'object' &&
    value !== null &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null));

/** The tree with every leaf replaced by what `f` makes of it. */
export function mapLeaves(tree: unknown, f: (leaf: unknown) => unknown): unknown {
  if (!isBranch(tree)) return f(tree);
  if (Array.isArray(tree)) return tree.map((item) => mapLeaves(item, f));
  return Object.fromEntries(Object.entries(tree).map(([name, item]) => [name, mapLeaves(item, f)]));
}

/** The tree with every tensor replaced by what `f` makes of it; other leaves are carried along. */
export const mapTensors = <T>(tree: T, f: (tensor: Tensor) => unknown): T =>
  mapLeaves(tree, (leaf) => (leaf instanceof Tensor ? f(leaf) : leaf)) as T;

/** Trees of one structure as one: in the place of their tensors stands what `f` makes of those that share a place. */
export function zipTensors<T>(trees: readonly [T, ...T[]], f: (...tensors: Tensor[]) => unknown): T {
  const lists = trees.map((tree) => tensorsOf(tree));
  let next = 0;
  return mapTensors(trees[0], () => {
    const place = next++;
    return f(...lists.map((tensors) => tensors[place] as Tensor));
  });
}

/** The tensors of a tree, in the order of its members. */
export function tensorsOf(tree: unknown, found: Tensor[] = []): Tensor[] {
  if (tree instanceof Tensor) found.push(tree);
  else if (isBranch(tree)) for (const item of Object.values(tree)) tensorsOf(item, found);
  return found;
}

/** Frees the tensors of a tree. (`dispose` for any type: tfjs's own types know few trees.) */
export const free = (tree: unknown): void => dispose(tree as TensorContainer);

/**
 * Leaves by the path to them, `down.0.conv.kernel`, in the order of the tree: how trees stand in files.
 * @throws RangeError on a name with a dot in it, which `unflatten` would take apart.
 */
export function flatten<T>(tree: Tree<T>): Record<string, T> {
  const entries: [string, T][] = [];
  const walk = (node: Tree<T>, path: string): void => {
    if (!isBranch(node)) {
      entries.push([path, node as T]);
      return;
    }
    for (const [name, item] of Object.entries(node)) {
      if (name === '' || name.includes('.'))
        throw new RangeError(
          `"${name}" under "${path}" cannot be part of a path; names have a letter or more and no dot.`,
        );
      walk(item as Tree<T>, path === '' ? name : `${path}.${name}`);
    }
  };
  walk(tree, '');
  // fromEntries makes own properties of all names, `__proto__` among them.
  return Object.fromEntries(entries);
}

/**
 * The tree whose `flatten` is `leaves`: plain objects all the way, also where the names are numbers.
 * @throws RangeError when one path leads through another's leaf.
 */
export function unflatten<T>(leaves: Readonly<Record<string, T>>): Tree<T> {
  type Branch = Map<string, Branch | { leaf: T }>;
  const root: Branch = new Map();
  for (const [path, leaf] of Object.entries(leaves)) {
    if (path === '') return leaf;
    const names = path.split('.');
    const last = names.pop() as string;
    let at = root;
    for (const name of names) {
      const next = at.get(name) ?? new Map();
      if (!(next instanceof Map)) throw new RangeError(`"${path}" leads through "${name}", which is a leaf.`);
      at.set(name, next);
      at = next;
    }
    if (at.has(last)) throw new RangeError(`"${path}" is a leaf and a branch at once.`);
    at.set(last, { leaf });
  }
  const plain = (branch: Branch): Tree<T> =>
    Object.fromEntries([...branch].map(([name, item]) => [name, item instanceof Map ? plain(item) : item.leaf]));
  return plain(root);
}
