export { type BindOptions, bind } from './bind.js';
export { type ClassEmbeddings, classEmbeddings, onEmbeddings } from './class-embedding.js';
export { type Classifier, type ConvClassifierConfig, convClassifier } from './conv-classifier.js';
export {
  type Described,
  type DescribeOptions,
  type Description,
  describe,
  type LayerDescription,
} from './describe.js';
export { descriptionTable, readable } from './description-table.js';
export { type DiscreteModel, type DiscreteModelOptions, discreteModel } from './discrete-model.js';
export { dit, mlp } from './dit.js';
export type { DitConfig, MlpConfig } from './dit-config.js';
export { efficientnetLite0 } from './efficientnet-lite.js';
export { guidedCondition, guidedParameters } from './guided-condition.js';
export { type Inception, inception } from './inception.js';
export { type NetworkKind, type NetworkOf, type NetworkSpec, networkOf } from './network-spec.js';
export { noiseEmbedding, type TimeOptions, timesOf } from './noise-embedding.js';
export { type NoisyClassifier, type NoisyClassifierConfig, noisyClassifier } from './noisy-classifier.js';
export { type KindOf, type Preset, preset, presetNames } from './presets.js';
export { type ResidualClassifierConfig, residualClassifier } from './residual-classifier.js';
export { type KernelCall, traceKernels } from './shapes/backend.js';
export {
  augmented,
  type SuperResolutionCondition,
  type SuperResolutionConfig,
  superResolution,
  superResolutionConditioning,
} from './super-resolution.js';
export { type UnetOptions, unet } from './unet.js';
export { type ClassConditionOptions, type Conditioned, classCondition, type UnetCondition } from './unet-condition.js';
export type { Resample, UnetConfig } from './unet-config.js';
export type { UnetPerturbation } from './unet-perturbation.js';
