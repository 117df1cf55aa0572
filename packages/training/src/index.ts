export { type AdamOptions, adam, adamW } from './adam.js';
export { clipByGlobalNorm, globalNorm } from './clip.js';
export { type DiffusionLossInputs, diffusionLoss } from './diffusion-loss.js';
export { drawDropped, drawLambda, type Spread } from './draws.js';
export { type Ema, ema } from './ema.js';
export {
  distillation,
  type GuidedLossInputs,
  type GuidedObjective,
  type GuidedWeights,
  guidanceFree,
} from './guided-objective.js';
export { type Layout, layout } from './layout.js';
export { cosineDecay, inverseSqrt, type LearningRate, linearDecay, warmUp } from './learning-rate.js';
export { type LogVariance, withLogVariance } from './log-variance.js';
export {
  edm,
  type LossWeight,
  minSnr,
  onV,
  onX,
  p2,
  perLambda,
  sigmoidWeight,
  snr,
  truncatedSnr,
  uniform,
} from './loss-weight.js';
export { NonFiniteError } from './non-finite.js';
export { optimize } from './optimize.js';
export type { OptimizeOptions, OptimizeResult, StepReport } from './optimize-options.js';
export type { Numbers, Optimizer, ParameterGroup, Scalars, Slots, Weights } from './optimizer.js';
export { type EmaSnapshot, powerEma, powerGamma, reconstructEma } from './power-ema.js';
export { type ProgressiveStage, progressive } from './progressive.js';
export type { RunLimits } from './run-limits.js';
export { assertShapes, type Shaped } from './shapes.js';
export {
  numbersOf,
  type Step,
  type StepInputs,
  type StepNumbers,
  type StepParts,
  type StepResult,
  type StepState,
  trainStep,
} from './step.js';
export { type Batch, type GuidedTrainOptions, type TrainOptions, type TrainResult, train } from './train.js';
export {
  type NoisyClassifierInputs,
  type NoisyClassifierNetwork,
  noisyClassifierLoss,
  type TrainNoisyClassifierOptions,
  trainNoisyClassifier,
} from './train-noisy-classifier.js';
export { disposeState, layoutOf, packState, type TrainingState, unpackState } from './training-state.js';
