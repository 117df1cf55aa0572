export { type BetaRange, cosineBetas, linearBetas, scaledLinearBetas } from './betas.js';
export { karras, laplace, logNormal, uniform } from './densities.js';
export {
  type DiscreteTimes,
  discrete,
  fromTimes,
  type Respacing,
  respaced,
  respacedTimes,
} from './discrete.js';
export { type DiscreteModel, discreteModel } from './discrete-model.js';
export { fromSigmas, grid } from './grid.js';
export { bisect, normalCdf, normalQuantile } from './quantiles.js';
export type { LambdaRange } from './range.js';
export { refineGrid } from './refine-grid.js';
export { arctan, cosine, linearBeta, sigmoidSchedule } from './schedules.js';
export { betaTimes, shifted } from './warps.js';
