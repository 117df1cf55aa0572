/** Whether a value is a plain object or an array, whose members `mapLeaves` descends into. */
export const isBranch = (value: unknown): value is Record<string, unknown> | unknown[] =>
  Array.isArray(value) ||
  (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype);

/** A structure of plain objects and arrays with every other value in it replaced by what `f` makes of it. */
export function mapLeaves(tree: unknown, f: (leaf: unknown) => unknown): unknown {
  if (!isBranch(tree)) return f(tree);
  if (Array.isArray(tree)) return tree.map((item) => mapLeaves(item, f));
  return Object.fromEntries(Object.entries(tree).map(([name, item]) => [name, mapLeaves(item, f)]));
}
