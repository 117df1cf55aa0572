import { expect, test } from 'vitest';
import * as nn from './index.js';

test('the public surface', () => {
  expect(Object.keys(nn).sort()).toEqual([
    'ADAM',
    'GROUP_NORM',
    'GROUP_NORM_GRADIENT',
    'PHILOX_UNIFORM',
    'ParameterSpec',
    'attentionBlock',
    'constant',
    'conv',
    'dropout',
    'embedding',
    'films',
    'gaussian',
    'groupNorm',
    'lambdaEmbedding',
    'lambdaFeatures',
    'linear',
    'logProbability',
    'module',
    'operation',
    'ops',
    'residualBlock',
    'sequential',
    'shapesOf',
    'weight',
  ]);
  expect(Object.keys(nn.ops).sort()).toEqual([
    'addBias',
    'addResidual',
    'attention',
    'blurMatrix',
    'conv2d',
    'downsample',
    'groupNorm',
    'linear',
    'rows',
    'silu',
    'streamOf',
    'uniform',
    'uniformNumbers',
    'upsample',
  ]);
});
