export {
  checkAbove,
  checkChoice,
  checkFinite,
  checkIncreasing,
  checkIndices,
  checkInteger,
  checkKnown,
  checkNotNegative,
  checkShape,
  checkWithin,
} from './check.js';
export { type Conditioning, embeddings, type Guided, type Labels, type LabelsOptions, labels } from './conditioning.js';
export { type Cost, inTurn, joined, ONE_CALL } from './cost.js';
export { deferred, settle, withoutAnswers } from './deferred.js';
export { bits, fold, type Key, key, permutation, philox, uniforms } from './key.js';
export type { Eigen, Float64Matrix, LinearAlgebra, Matrix, Transposed } from './linear-algebra.js';
export { alpha, alphaRatio, alphaSigma, posterior, sigma, sigmoid, transition } from './log-snr.js';
export { type Component, type GaussianMixture, gaussianMixture } from './mixture.js';
export {
  defineModel,
  derive,
  type EpsFunction,
  type Estimate,
  type Gives,
  type Memory,
  type Model,
  type ModelLike,
  type ModelParts,
  memoryOf,
  type Predicted,
  withCondition,
} from './model.js';
export { normal, normalNumbers, PHILOX_NORMAL, type PhiloxNormalAttrs } from './noise.js';
export { checkPrediction, convert, type Prediction } from './parametrization.js';
export {
  diffuse,
  epsOf,
  estimateFrom,
  perSample,
  type ReadingOptions,
  readModel,
  scales,
  toModel,
} from './read-model.js';
export { eager, type Jitted, type Runtime, type Session, type SessionStep } from './runtime.js';
export type { Schedule } from './schedule.js';
export { scoped } from './scoped.js';
export { flatten, free, isBranch, mapLeaves, mapTensors, type Tree, tensorsOf, unflatten, zipTensors } from './tree.js';
export { type Combinable, combine, scaleByExp, type Value } from './value.js';
export type { WeightedModel } from './weighted.js';
