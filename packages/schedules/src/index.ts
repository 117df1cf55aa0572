export { grid } from './grid.js';
export { arctan, cosine, type LambdaRange, linearBeta } from './schedules.js';
