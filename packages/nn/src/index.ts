export { type Attends, type AttentionBlockOptions, attentionBlock } from './attention-block.js';
export { type AttentionPoolOptions, attentionPool } from './attention-pool.js';
export { module, operation, type Part, type Run, sequential, type Used } from './compose.js';
export { dropout } from './dropout.js';
export {
  ADAM,
  type AdamAttrs,
  ATTENTION,
  ATTENTION_GRADIENT,
  type AttentionAttrs,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  GROUP_NORM_GRADIENT,
  type GroupNormAttrs,
  LINEAR,
  LINEAR_INPUT_GRADIENT,
  LINEAR_WEIGHT_GRADIENT,
  PHILOX_UNIFORM,
  type PhiloxUniformAttrs,
} from './kernels.js';
export { lambdaFeatures } from './lambda-features.js';
export {
  type ConvLayerOptions,
  conv,
  embedding,
  groupNorm,
  type LayerNormOptions,
  type LinearOptions,
  layerNorm,
  linear,
} from './layers.js';
export { logProbability } from './log-probability.js';
export {
  type Context,
  type Module,
  type Network,
  type NetworkInput,
  ParameterSpec,
  type ParameterSpecs,
  type Parameters,
} from './module.js';
export * as ops from './ops/index.js';
export { constant, gaussian, shapesOf, type WeightOptions, weight } from './parameters.js';
export {
  films,
  type Modulation,
  type ResidualBlockOptions,
  type ResidualInput,
  residualBlock,
} from './residual-block.js';
export { type TimeFeatures, timeFeatures } from './time-features.js';
export {
  type MlpBlockOptions,
  type ModulatedInput,
  mlpBlock,
  modulatedLinear,
  type TransformerBlockOptions,
  transformerBlock,
} from './transformer-block.js';
