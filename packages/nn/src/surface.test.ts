import { expect, test } from 'vitest';
import { ops } from './index.js';

test('the operations', () => {
  expect(Object.keys(ops).sort()).toEqual([
    'addBias',
    'addResidual',
    'attention',
    'bilinear',
    'blurMatrix',
    'conv2d',
    'downsample',
    'gelu',
    'groupNorm',
    'layerNorm',
    'linear',
    'patchify',
    'positionTable',
    'rows',
    'silu',
    'streamOf',
    'uniform',
    'uniformNumbers',
    'unpatchify',
    'upsample',
  ]);
});
