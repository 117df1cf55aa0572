import { fold, type Key, normal, type Parameters } from '@logsnr/core';
import { fill, mul, type Tensor, tidy } from '@tensorflow/tfjs-core';

/** A parameter before it has values. `std` is the deviation of its normal initial values; a number alone is a constant. */
export interface ParameterSpec {
  readonly shape: readonly number[];
  readonly init: number | { readonly std: number };
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** Weights of deviation 1/√(inputs a unit), which keep the variance of what passes (LeCun et al. 1998); or zeros. */
export const weight = (shape: readonly number[], zero = false): ParameterSpec => ({
  shape,
  init: zero ? 0 : { std: 1 / Math.sqrt(shape.slice(0, -1).reduce((product, size) => product * size, 1)) },
});

/** A vector of one value. */
export const vector = (size: number, value = 0): ParameterSpec => ({ shape: [size], init: value });

/** Parameter i is drawn from `fold(k, i)`: its values depend on the key, its place and its shape alone. */
export function initialise(specs: ParameterSpecs, k: Key): Parameters {
  const draw = ({ shape, init }: ParameterSpec, i: number): Tensor =>
    typeof init === 'number' ? fill([...shape], init) : tidy(() => mul(normal(fold(k, i), shape), init.std));
  return Object.fromEntries(Object.entries(specs).map(([name, spec], i) => [name, draw(spec, i)]));
}

/** Name and shape of each parameter. */
export const shapesOf = (specs: ParameterSpecs): Readonly<Record<string, readonly number[]>> =>
  Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, shape]));

/**
 * Looks parameters up by name and checks their shape.
 * @throws RangeError on one that is missing or of another shape than the network's.
 */
export function reader(specs: ParameterSpecs, parameters: Parameters): <T extends Tensor>(name: string) => T {
  for (const [name, { shape }] of Object.entries(specs)) {
    const given = parameters[name];
    if (!given)
      throw new RangeError(
        `parameter "${name}" is missing; the network needs ${Object.keys(specs).length} parameters.`,
      );
    if (given.shape.length !== shape.length || shape.some((size, i) => size !== given.shape[i]))
      throw new RangeError(
        `parameter "${name}" has shape [${given.shape.join(', ')}]; the network's is [${shape.join(', ')}].`,
      );
  }
  return <T extends Tensor>(name: string) => parameters[name] as T;
}
