import { readFileSync } from 'node:fs';
import { shapesOf } from '@logsnr/nn';
import { expect, test } from 'vitest';
import { convClassifier } from './conv-classifier.js';
import { dit, mlp } from './dit.js';
import { noisyClassifier } from './noisy-classifier.js';
import { unet } from './unet.js';

// Under these names parameters stand in files: a change makes earlier checkpoints unreadable.
const names = JSON.parse(readFileSync(new URL('../test/fixtures/names.json', import.meta.url), 'utf8'));
const image = { height: 28, width: 28, channels: 1, classes: 10 };
const config = { ...image, base: 16, multipliers: [1, 2, 2], blocks: 1, attention: [7], groups: 8 };

test.each([
  ['unet', unet(config)],
  ['noisyClassifier', noisyClassifier(config)],
  ['convClassifier', convClassifier(image)],
  ['dit', dit({ ...image, patch: 4, size: 32, depth: 2, heads: 2 })],
  ['mlp', mlp({ dimensions: 2, classes: 10, size: 32, depth: 2 })],
] as const)('the names and shapes of the parameters of %s stay as they are', (name, network) => {
  const shapes = shapesOf(network);
  expect(shapes).toEqual(names[name]);
  expect(shapesOf({ parameters: unet(config, { attention: 'identity' }).parameters })).toEqual(names.unet);
});
