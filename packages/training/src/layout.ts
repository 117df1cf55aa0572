import { flatten, scoped, unflatten } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { concat, reshape, split, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { assertShapes } from './shapes.js';

/**
 * Parameters as one vector for each group, and back. The optimizer and the averages then take a dozen operations a vector
 * instead of a dozen for each parameter, the gradient of `unpack` being a single concatenation.
 */
export interface Layout {
  /** The shape of each parameter by its path. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The number of the group of each vector. Groups without parameters have none. */
  readonly groups: readonly number[];
  /** Vectors that the caller owns. */
  pack(parameters: Parameters): Tensor1D[];
  /** Tensors that the caller owns. Differentiable. */
  unpack(vectors: readonly Tensor[]): Parameters;
}

/** @throws RangeError when there are no parameters, or one is empty. */
export function layout(
  shapes: Readonly<Record<string, readonly number[]>>,
  groupOf: (path: string, shape: readonly number[]) => number = () => 0,
): Layout {
  // Sorted, so that the order in which a record or a file lists the names does not matter.
  const names = Object.keys(shapes).sort();
  if (names.length === 0) throw new RangeError('there are no parameters; give at least one tensor.');
  const sizeOf = (name: string) => (shapes[name] as number[]).reduce((product, size) => product * size, 1);
  for (const name of names)
    if (sizeOf(name) === 0) throw new RangeError(`the parameter "${name}" of shape [${shapes[name]}] has no elements.`);
  const members = new Map<number, string[]>();
  for (const name of names) {
    const group = groupOf(name, shapes[name] as number[]);
    members.set(group, [...(members.get(group) ?? []), name]);
  }
  const groups = [...members.keys()].sort((a, b) => a - b);
  return {
    shapes,
    groups,
    pack(parameters) {
      const flat = flatten<Tensor>(parameters);
      assertShapes(flat, shapes);
      return tidy(() =>
        groups.map((group) =>
          concat((members.get(group) ?? []).map((name) => reshape(flat[name] as Tensor, [-1]) as Tensor1D)),
        ),
      );
    },
    unpack: (vectors) =>
      scoped(() => {
        const byName: Record<string, Tensor> = {};
        groups.forEach((group, at) => {
          const own = members.get(group) as string[];
          const vector = vectors[at] as Tensor;
          // The engine's gradient of a split wants two parts at least.
          const parts = own.length === 1 ? [vector] : split(vector, own.map(sizeOf));
          own.forEach((name, i) => {
            byName[name] = reshape(parts[i] as Tensor, shapes[name] as number[]);
          });
        });
        const inOrder = Object.keys(shapes).map((name) => [name, byName[name] as Tensor]);
        return unflatten<Tensor>(Object.fromEntries(inOrder)) as Parameters;
      }),
  };
}
