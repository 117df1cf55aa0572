import type { Tensor } from '@tensorflow/tfjs-core';
import type { Key } from './key.js';
import { type Model, readModel } from './model.js';
import type { Prediction } from './parametrization.js';

/** The weights of a network: tensors under flat, stable names such as `down.0.block.0.conv1.kernel`. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** A network as a value: it holds no weights, only how to make and to use them. */
export interface Network<C> {
  /** Name and shape of each parameter, in a fixed order. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Fresh parameters, a function of the key alone. The caller owns them. */
  init(k: Key): Parameters;
  /** The raw output for z [n, …], λ [n] and n conditions: of z's shape, owned by the caller. Differentiable in all. */
  apply(parameters: Parameters, z: Tensor, lambda: Tensor, condition: C): Tensor;
}

/** The model that a network with these parameters is; `prediction` says what its raw output stands for. */
export const bind = <C>(network: Network<C>, parameters: Parameters, prediction: Prediction = 'eps'): Model<C> =>
  readModel((z, lambda, condition) => network.apply(parameters, z, lambda, condition), { prediction });
