export { accuracy } from './accuracy.js';
export { frechetDistance } from './frechet.js';
export { type InceptionScoreOptions, inceptionScore } from './inception.js';
export type { Matrix } from './matrix.js';
export { type GaussianStatistics, gaussianStatistics, type Moments, mergeMoments, moments } from './statistics.js';
