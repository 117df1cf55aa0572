import { expect, test } from 'vitest';
import * as networks from './index.js';

test('the public surface', () => {
  expect(Object.keys(networks).sort()).toEqual([
    'augmented',
    'bind',
    'classCondition',
    'classEmbeddings',
    'convClassifier',
    'describe',
    'descriptionTable',
    'discreteModel',
    'dit',
    'efficientnetLite0',
    'guidedCondition',
    'guidedParameters',
    'inception',
    'mlp',
    'networkOf',
    'noiseEmbedding',
    'noisyClassifier',
    'onEmbeddings',
    'preset',
    'presetNames',
    'readable',
    'residualClassifier',
    'superResolution',
    'superResolutionConditioning',
    'timesOf',
    'traceKernels',
    'unet',
  ]);
});
