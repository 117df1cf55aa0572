export {
  type InceptionExtractorOptions,
  type InceptionOptions,
  type InceptionWeights,
  inceptionExtractor,
  inceptionWeights,
} from './inception.js';
export { readStatistics, writeStatistics } from './statistics-file.js';
export { type SweepPictureOptions, sweepChart, sweepPicture } from './sweep-pictures.js';
