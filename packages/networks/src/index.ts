export { type ClassEmbeddings, classEmbeddings, onEmbeddings } from './class-embedding.js';
export { type Classifier, type ConvClassifierConfig, convClassifier } from './conv-classifier.js';
export { lambdaFeatures } from './embedding.js';
export { type NoisyClassifier, noisyClassifier } from './noisy-classifier.js';
export { unet } from './unet.js';
export type { UnetConfig } from './unet-config.js';
export type { UnetPerturbation } from './unet-perturbation.js';
