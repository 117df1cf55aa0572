export { type AdamOptions, adam, adamW } from './adam.js';
export { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
export { clipByGlobalNorm, globalNorm } from './clip.js';
export { densityOf, secant } from './density.js';
export { type DiffusionLossInputs, diffusionLoss } from './diffusion-loss.js';
export { drawDropped, drawLambda, type Spread } from './draws.js';
export { type Ema, ema } from './ema.js';
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
export { type OptimizeOptions, type OptimizeResult, optimize, type StepReport } from './optimize.js';
export type { Optimizer, Scalars } from './optimizer.js';
export { type EmaSnapshot, powerEma, powerGamma, reconstructEma } from './power-ema.js';
export { type ProgressLine, type ProgressLineOptions, progressLine, type TextStream } from './progress-line.js';
export type { RunLimits } from './run-limits.js';
export { type Array32, decodeSafetensors, encodeSafetensors, type SafetensorsFile } from './safetensors.js';
export { assertShapes, type Shaped } from './shapes.js';
export {
  partScalars,
  type Step,
  type StepInputs,
  type StepParts,
  type StepResult,
  trainStep,
} from './step.js';
export { type Batch, type TrainOptions, type TrainResult, train } from './train.js';
export {
  type NoisyClassifierInputs,
  type NoisyClassifierNetwork,
  noisyClassifierLoss,
  type TrainNoisyClassifierOptions,
  trainNoisyClassifier,
} from './train-noisy-classifier.js';
export { disposeState, type TrainingState } from './training-state.js';
