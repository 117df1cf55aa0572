import { shapesOf } from '@logsnr/nn';
import { expect, test } from 'vitest';
import { expectGolden, fixture } from '../test/golden.js';
import { dit } from './dit.js';
import { timesOf } from './noise-embedding.js';
import { unet } from './unet.js';

const sorted = (shapes: object) => Object.fromEntries(Object.entries(shapes).sort(([a], [b]) => (a < b ? -1 : 1)));

test('outputs and gradients of a U-Net are those of the same network in PyTorch', () => {
  const golden = fixture('unet');
  const network = unet(golden.config);
  expect(sorted(shapesOf(network))).toEqual(golden.shapes);
  expectGolden(network, golden, { z: [3, 8, 4, 2], lambda: golden.noise, labels: golden.condition });
});

test.each(['original', 'diffusers'])('outputs and gradients of a DiT are those of PyTorch, %s', (peer) => {
  const { times, condition, shapes, [peer]: golden } = fixture('dit');
  const network = dit(golden.config);
  expect(sorted(shapesOf(network))).toEqual(shapes);
  const { lambdas } = timesOf(golden.config.time);
  const lambda = times.map((t: number) => lambdas[t]);
  expectGolden(network, golden, { z: [3, 4, 4, 2], lambda, labels: condition });
});
