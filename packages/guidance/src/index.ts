export { type ApgOptions, apg } from './apg.js';
export { autoguidance, perturbedGuidance } from './autoguidance.js';
export { type CadsOptions, cads } from './cads.js';
export {
  type CfgCacheOptions,
  cfgCache,
  everyKth,
  type Fresh,
  type NullKind,
  type NullRegression,
} from './cfg-cache.js';
export { cfgPlusPlus } from './cfg-plus-plus.js';
export { cfgZeroStar, zeroInit } from './cfg-zero-star.js';
export {
  type GuidanceChoice,
  type GuidanceParts,
  guidanceName,
  guidanceOf,
  type RuleChoice,
  readGuidance,
} from './choice.js';
export { classifierGuidance, logits } from './classifier.js';
export { type ClassifierFreeOptions, classifierFree, twoOf } from './classifier-free.js';
export { composed, type Negated, negative } from './composed.js';
export { type Evaluation, type EvaluationOptions, evaluate, type Part } from './evaluate.js';
export { type FeedbackOptions, type FeedbackSettings, feedbackGuidance, feedbackSettings } from './feedback.js';
export { frequencyDecoupled } from './frequency-decoupled.js';
export type { LogLikelihood } from './gradient.js';
export { type Frame, guide, type Pair } from './guide.js';
export { guidedNetwork } from './guided-network.js';
export { independentCondition, randomCondition, timeStepGuidance, uniformLabels } from './independent-condition.js';
export { mamboG } from './mambo-g.js';
export { momentumGuidance } from './momentum.js';
export { type NullAt, type NullObserver, observeNull } from './observe-null.js';
export { averagePooling, inpainting, type Measured, type Operator, posteriorSampling } from './posterior-sampling.js';
export { noiseAt, type Seeded, seeded, seededConditioning } from './random.js';
export { rescale } from './rescale.js';
export {
  type Acts,
  applyRule,
  extrapolate,
  type Kind,
  type Predictions,
  type Rule,
  type RuleLike,
  toRule,
} from './rule.js';
export { type SlidingModeOptions, slidingMode } from './sliding-mode.js';
export { tcfg } from './tcfg.js';
export { type Term, terms } from './terms.js';
export { clipX, dynamicThreshold, staticThreshold, type Threshold, thresholdX } from './threshold.js';
export { product, tilted, tiltedByClassifier } from './tilted.js';
export {
  fromScale,
  interval,
  type Range,
  type Rise,
  rising,
  stepRange,
  type Weight,
  type WeightSchedule,
} from './weight.js';
