import { checkShape, flatten, type Key, normal, unflatten } from '@logsnr/core';
import { fill, mul, sub, Tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';
import { type Module, ParameterSpec, type ParameterSpecs, type Parameters } from './module.js';
import { keyAt, uniform } from './ops/uniform.js';

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
  /** Uniform within ±√(6/(inputs + outputs)) instead (Glorot & Bengio 2010, AISTATS). Default false. */
  xavier?: boolean | undefined;
  /** Normal of this deviation instead. */
  std?: number | undefined;
  /** Begin with zeros instead. Default false. */
  zero?: boolean | undefined;
}

/** Weights [..., outputs], normal of deviation √(gain/inputs a unit), or as the options say. */
export function weight(shape: readonly number[], options: WeightOptions = {}): ParameterSpec {
  const { gain = 1, xavier = false, zero = false } = options;
  const inputs = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  if (zero) return constant(shape);
  if (xavier) return within(shape, Math.sqrt(6 / (inputs + (shape[shape.length - 1] as number))));
  return gaussian(shape, options.std ?? Math.sqrt(gain / inputs));
}

/** A parameter whose first values are uniform in [−bound, bound). */
const within = (shape: readonly number[], bound: number): ParameterSpec =>
  new ParameterSpec(shape, ({ words }) =>
    tidy(() => sub(mul(uniform(tensor1d([...words], 'int32'), 0, shape), 2 * bound), bound)),
  );

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
