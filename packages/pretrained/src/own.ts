import type { Mapping } from './mapping.js';

/** Our own names: the paths of the parameters, in our layouts. */
export const own = (shapes: Readonly<Record<string, readonly number[]>>): Mapping => ({
  pieces: Object.entries(shapes).map(([path, shape]) => ({
    ...{ path, shape, axes: shape, order: shape.map((_, axis) => axis) },
    ...{ parts: [{ name: path, shape }], copies: [] },
  })),
  fixed: [],
});
