export type { DiffusersOptions } from './diffusers-config.js';
export type { Peer } from './find-peer.js';
export type { AttentionOrder } from './guided-diffusion.js';
export { type LoadOptions, loadParameters } from './load.js';
export { type LoadedClassifier, loadClassifier } from './load-classifier.js';
export {
  type ConditionOf,
  type LoadedModel,
  type LoadFolderOptions,
  type LoadModelOptions,
  loadModel,
  type ModelKind,
  type ModelSpec,
} from './load-model.js';
export type { LoadProgress } from './read.js';
export { type SaveOptions, saveParameters } from './save.js';
