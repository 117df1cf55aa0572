import { type Cost, type Model, type Prediction, readModel } from '@logsnr/core';
import type { Network, Parameters } from '@logsnr/nn';
import { type OutputOptions, readOutput } from './output.js';

/** What the raw output of a bound network stands for, and what a call of it costs. */
export interface BindOptions extends OutputOptions {
  /** Default `eps`. */
  prediction?: Prediction | undefined;
  /** Default one call. */
  cost?: Cost | undefined;
}

/** The model that a network with these parameters (borrowed) is. */
export const bind = <C>(
  network: Network<C>,
  parameters: Parameters,
  { prediction, cost, variance }: BindOptions = {},
): Model<C> =>
  readModel<C>(
    (z, lambda, condition) => readOutput(network.apply(parameters, { z, lambda, condition }), z, { variance }),
    { prediction, cost, variance: variance !== undefined },
  );
