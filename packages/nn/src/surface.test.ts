import { expect, test } from 'vitest';
import { ops } from './index.js';

test('the operations', () => {
  expect(Object.keys(ops).sort()).toEqual([
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
