import { type Network, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectGolden, fixture, tensor } from '../test/golden.js';
import { dit } from './dit.js';
import { type NetworkSpec, networkOf } from './network-spec.js';
import { timesOf } from './noise-embedding.js';
import { preset } from './presets.js';
import { unet } from './unet.js';

const sorted = (shapes: object) => Object.fromEntries(Object.entries(shapes).sort(([a], [b]) => (a < b ? -1 : 1)));
const labels = (of: number[]) => tf.tensor1d(of, 'int32');

test('outputs and gradients of a U-Net are those of the same network in PyTorch', () => {
  const golden = fixture('unet');
  const network = unet(golden.config);
  expect(sorted(shapesOf(network))).toEqual(golden.shapes);
  expectGolden(network, golden, { z: [3, 8, 4, 2], lambda: golden.noise, condition: labels(golden.condition) });
});

test.each(['original', 'diffusers'])('outputs and gradients of a DiT are those of PyTorch, %s', (peer) => {
  const { times, condition, shapes, [peer]: golden } = fixture('dit');
  const network = dit(golden.config);
  expect(sorted(shapesOf(network))).toEqual(shapes);
  const { lambdas } = timesOf(golden.config.time);
  const lambda = times.map((t: number) => lambdas[t]);
  expectGolden(network, golden, { z: [3, 4, 4, 2], lambda, condition: labels(condition) });
});

const unets = fixture('unets');

test.each(Object.keys(unets))('outputs and gradients of the blocks of %s are those of PyTorch', (name) => {
  const { network: spec, times, labels: of, shapes, ...golden } = unets[name];
  const { kind, config } = spec as NetworkSpec;
  // The same kind of network, with the same choices in its blocks.
  const published = preset(name).network;
  const choices = (each: object) =>
    Object.entries(each)
      .filter(([, value]) => typeof value !== 'number' && typeof value !== 'object')
      .sort();
  expect([kind, choices(config)]).toEqual([published.kind, choices(published.config)]);
  const network = networkOf({ network: spec as NetworkSpec }) as Network<unknown>;
  expect(sorted(shapesOf(network))).toEqual(shapes);
  const { lambdas } = timesOf(config.time as never);
  const lambda = times.map((t: number) => lambdas[t]);
  const n = times.length;
  const label = labels(of ?? Array(n).fill(0));
  const condition =
    kind === 'super-resolution'
      ? { image: tensor(2, [n, config.low.height, config.low.width, config.channels]), label }
      : label;
  expectGolden(network, golden, { z: [n, config.height, config.width, config.channels], lambda, condition });
});
