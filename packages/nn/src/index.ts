export { logProbability } from './log-probability.js';
export type { Context, Module, Network, NetworkInput, ParameterSpec, ParameterSpecs, Parameters } from './module.js';
