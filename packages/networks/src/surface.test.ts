import { expect, test } from 'vitest';
import * as networks from './index.js';

test('the public surface', () => {
  expect(Object.keys(networks).sort()).toEqual([
    'classEmbeddings',
    'convClassifier',
    'lambdaFeatures',
    'noisyClassifier',
    'onEmbeddings',
    'unet',
  ]);
});
