export type { LinearAlgebra, Matrix } from '@logsnr/core';
export { accuracy } from './accuracy.js';
export { checkComparable, type FeatureOrigin, type FeatureStatistics } from './feature-statistics.js';
export {
  type FrechetInfinity,
  type FrechetInfinityOptions,
  type FrechetPoint,
  frechetInfinity,
} from './fid-infinity.js';
export { frechetDistance } from './frechet.js';
export {
  type ClassScores,
  type InceptionScore,
  type InceptionScoreOptions,
  type InceptionScorer,
  inceptionScore,
  inceptionScorer,
} from './inception.js';
export { type Kid, type KidOptions, kid, mmd } from './kid.js';
export { type Manifold, type ManifoldOptions, manifold } from './manifold.js';
export { type GaussianStatistics, gaussianStatistics, type Moments, mergeMoments, moments } from './statistics.js';
export { type VendiOptions, vendiScore } from './vendi.js';
