import { checkShape, flatten, fold, type Key, normal, unflatten } from '@logsnr/core';
import { fill, mul, Tensor, tidy } from '@tensorflow/tfjs-core';
import { type Module, ParameterSpec, type ParameterSpecs, type Parameters } from './module.js';

/** A parameter of one value everywhere. */
export const constant = (shape: readonly number[], value = 0): ParameterSpec =>
  new ParameterSpec(shape, () => fill([...shape], value));

/** A parameter whose first values are normal, of deviation `std`. */
export const gaussian = (shape: readonly number[], std: number): ParameterSpec =>
  new ParameterSpec(shape, (key) => tidy(() => mul(normal(key, shape), std)));

/** How the weights of a layer begin. */
export interface WeightOptions {
  /**
   * The variance times the number of inputs a unit. 1, the default, keeps the variance of what passes (LeCun et al. 1998).
   * 2 does so before a ReLU (He et al. 2015, arXiv 1502.01852).
   */
  gain?: number | undefined;
  /** Begin with zeros instead. Default false. */
  zero?: boolean | undefined;
}

/** Weights [..., outputs], normal of deviation √(gain/inputs a unit). */
export function weight(shape: readonly number[], { gain = 1, zero = false }: WeightOptions = {}): ParameterSpec {
  const inputs = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return zero ? constant(shape) : gaussian(shape, Math.sqrt(gain / inputs));
}

/** A new key, a function of a key and a path alone. */
export const keyAt = (key: Key, path: string): Key => fold(key, ...[...path].map((c) => c.codePointAt(0) as number));

/** Fresh values of all parameters, nested as they are. Each is a function of the key and of its path alone. */
export function initialise(specs: ParameterSpecs, key: Key): Parameters {
  const values = Object.entries(flatten<ParameterSpec>(specs)).map(([path, spec]) => [
    path,
    spec.init(keyAt(key, path)),
  ]);
  return unflatten<Tensor>(Object.fromEntries(values)) as Parameters;
}

/** The shape of each parameter of a module by its path. */
export const shapesOf = ({
  parameters,
}: Pick<Module<never, unknown>, 'parameters'>): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(flatten<ParameterSpec>(parameters)).map(([path, { shape }]) => [path, shape]));

/** @throws RangeError on a parameter that is missing or of another shape than the module's. */
export function checkParameters(shapes: Readonly<Record<string, readonly number[]>>, given: Parameters): void {
  for (const [path, shape] of Object.entries(shapes)) {
    let at: unknown = given;
    for (const name of path.split('.')) at = (at as Record<string, unknown> | undefined)?.[name];
    if (!(at instanceof Tensor)) {
      const flat = path.includes('.') && (given as Record<string, unknown>)[path] instanceof Tensor;
      throw new RangeError(
        `parameter "${path}" is missing; the module needs ${Object.keys(shapes).length} parameters${flat ? ', nested: `unflatten` of @logsnr/core nests those of a file' : ''}.`,
      );
    }
    checkShape(`parameter "${path}"`, at, shape);
  }
}
