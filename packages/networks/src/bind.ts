import { type Cost, type Model, type Prediction, readModel } from '@logsnr/core';
import type { Network, Parameters } from '@logsnr/nn';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { type OutputOptions, readOutput } from './output.js';

/** What the raw output of a bound network stands for, and what a call of it costs. */
export interface BindOptions extends OutputOptions {
  /** Default `eps`. */
  prediction?: Prediction | undefined;
  /** Default one call. */
  cost?: Cost | undefined;
}

/** The model of a function to raw outputs. */
export const modelOf = <C>(
  raw: (z: Tensor, lambda: Tensor1D, condition: C) => Tensor,
  { prediction, cost, variance }: BindOptions,
): Model<C> =>
  readModel<C>((z, lambda, condition) => readOutput(raw(z, lambda, condition), z, { variance }), {
    prediction,
    cost,
    variance: variance !== undefined,
  });

/** The model that a network with these parameters (borrowed) is. */
export const bind = <C>(network: Network<C>, parameters: Parameters, options: BindOptions = {}): Model<C> =>
  modelOf((z, lambda, condition) => network.apply(parameters, { z, lambda, condition }), options);
