export { type Classifier, type ConvClassifierConfig, convClassifier } from './conv-classifier.js';
export { lambdaFeatures } from './embedding.js';
export { unet } from './unet.js';
export type { UnetConfig } from './unet-config.js';
