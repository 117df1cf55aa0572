import type { Parameters } from '@logsnr/core';
import { concat, reshape, split, type Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { assertShapes } from './shapes.js';

/**
 * All parameters as one vector and back. The optimizer and the average then take a dozen operations a step instead of a
 * dozen for each parameter, the gradient of `unpack` being a single concatenation.
 */
export interface Layout {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** One vector that the caller owns. */
  pack(parameters: Parameters): Tensor1D;
  /** Tensors that the caller owns. Differentiable. */
  unpack(vector: Tensor): Parameters;
}

/** @throws RangeError when there are no parameters, or one is empty. */
export function layout(shapes: Readonly<Record<string, readonly number[]>>): Layout {
  // Sorted, so that the order in which a record or a file lists the names does not matter.
  const names = Object.keys(shapes).sort();
  if (names.length === 0) throw new RangeError('there are no parameters; give at least one tensor.');
  const sizes = names.map((name) => (shapes[name] as number[]).reduce((product, size) => product * size, 1));
  names.forEach((name, i) => {
    if (sizes[i] === 0) throw new RangeError(`the parameter "${name}" of shape [${shapes[name]}] has no elements.`);
  });
  return {
    shapes,
    pack(parameters) {
      assertShapes(parameters, shapes);
      return tidy(() => concat(names.map((name) => reshape(parameters[name] as Tensor, [-1]) as Tensor1D)));
    },
    unpack: (vector) =>
      tidy(() => {
        // The engine's gradient of a split wants two parts at least.
        const parts = names.length === 1 ? [vector] : split(vector, sizes);
        const entries = names.map((name, i): [string, Tensor] => [
          name,
          reshape(parts[i] as Tensor, shapes[name] as number[]),
        ]);
        const byName = Object.fromEntries(entries);
        return Object.fromEntries(Object.keys(shapes).map((name) => [name, byName[name] as Tensor]));
      }),
  };
}
