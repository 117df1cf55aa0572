export {
  type ClassifierExtractorOptions,
  type ClassifierFile,
  type ClassifierSpec,
  classifierExtractor,
  classifierOf,
  type WriteClassifierOptions,
  writeClassifier,
} from './classifier-file.js';
export { type EfficientnetOptions, efficientnetExtractor } from './efficientnet.js';
export {
  type EvaluateOptions,
  type EvaluateProgress,
  type Evaluation,
  evaluate,
  type Judged,
  METRICS,
  type Metric,
} from './evaluate.js';
export { evaluationPicture, evaluationText } from './evaluation-report.js';
export { type FeatureOptions, type Features, featuresOf, hashOfImages } from './features.js';
export { openImages } from './image-files.js';
export {
  type InceptionExtractorOptions,
  type InceptionOptions,
  type InceptionWeights,
  inceptionExtractor,
  inceptionFile,
  inceptionWeights,
} from './inception.js';
export { type OpenExtractorOptions, openExtractor } from './open-extractor.js';
export {
  type ClassifierRecord,
  PACKAGED_CLASSIFIERS,
  type PackagedClassifier,
  packagedClassifier,
} from './packaged-classifier.js';
export { readStatistics, writeStatistics } from './statistics-file.js';
export { type SweepPictureOptions, sweepChart, sweepPicture } from './sweep-pictures.js';
