import { flatten, key } from '@logsnr/core';
import { shapesOf } from '@logsnr/nn';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSlopes } from '../../../test/slopes.js';
import { noisyClassifier } from './noisy-classifier.js';
import type { UnetConfig } from './unet-config.js';

const config: UnetConfig = {
  height: 8,
  width: 4,
  channels: 1,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  groups: 2,
};
const network = noisyClassifier(config);
const parameters = randomised(network, 9);
const [z, lambda] = [random<tf.Tensor4D>(1, 3, 8, 4, 1), tf.tensor1d([-3, 0, 2])];

test('has the way down and the middle of the U-Net, and nothing of the way up', () => {
  const names = Object.keys(shapesOf(network));
  expect(names).toContain('down.1.block.0.conv1.kernel');
  expect(names).toContain('middle.attention.0.qkv.kernel');
  expect(names.filter((name) => name.startsWith('up.') || name.startsWith('class.'))).toEqual([]);
  expect(shapesOf(network)['logits.kernel']).toEqual([8, 3]);
});

test('each sample by itself, and λ matters', () => {
  const whole = network.apply(parameters, { z, lambda });
  expect(whole.shape).toEqual([3, 3]);
  const one = network.apply(parameters, { z: tf.slice(z, 1, 1), lambda: tf.slice(lambda, 1, 1) });
  expect(difference(one, tf.slice(whole, 1, 1))).toBeLessThan(1e-5);
  expect(difference(network.apply(parameters, { z, lambda: tf.tensor1d([-3, 1, 2]) }), whole)).toBeGreaterThan(1e-4);
  expectNoLeak(() => [network.apply(parameters, { z, lambda })]);
  expectNoLeak(() => Object.values(flatten<tf.Tensor>(network.init(key(1)))));
});

test('its gradients are those of finite differences', () => {
  expectSlopes(network, { z, lambda }, { names: ['logits.kernel', 'logits.bias', 'out.norm.gamma', 'in.kernel'] });
  const dy = random<tf.Tensor2D>(5, 3, 3);
  const value = (at: tf.Tensor) => tf.sum(tf.mul(network.apply(parameters, { z: at, lambda }), dy));
  const slope = tf.grad((at: tf.Tensor) => value(at))(z);
  const length = tf.norm(slope).dataSync()[0] as number;
  const h = 1e-2;
  const moved = (by: number) => value(tf.add(z, tf.mul(slope, by / length))).dataSync()[0] as number;
  expect(Math.abs((moved(h) - moved(-h)) / (2 * h) - length) / length).toBeLessThan(1e-2);
});

test('as in ADM it has residual blocks that halve, and pools by attention', async () => {
  const form = { resample: 'residual', skipBias: true, headChannels: 4, pool: 'attention' } as const;
  const network = noisyClassifier({ ...config, ...form });
  const shapes = shapesOf(network);
  expect(shapes['pool.position']).toEqual([4 * 2 + 1, 8]);
  expect(shapes['pool.out.kernel']).toEqual([8, 3]);
  expect(Object.keys(shapes).filter((name) => name.startsWith('logits'))).toEqual([]);
  expectSlopes(network, { z, lambda }, { names: Object.keys(shapes) });
  const own = randomised(network);
  expectNoLeak(() => [network.apply(own, { z, lambda })]);
  const run = () => network.apply(randomised(network), { z, lambda }).dataSync();
  const here = tf.tensor(run());
  for (const backend of ['wasm', 'cpu'] as const)
    expect(difference(tf.tensor(await onBackend(backend, run)), here)).toBeLessThan(1e-4);
  if (backendInfo()?.backend !== 'tensorflow') return;
  const compiled = compile((z: tf.Tensor) => network.apply(own, { z, lambda }));
  expect(difference(compiled(z), network.apply(own, { z, lambda }))).toBeLessThan(1e-5);
  compiled.dispose();
});

test('refuses what does not fit', () => {
  expect(() => noisyClassifier({ ...config, classes: 1 })).toThrow(/classes is 1/);
  expect(() => noisyClassifier({ ...config, pool: 'spatial' as 'mean' })).toThrow(
    /pool is "spatial"; it must be "mean" or "attention"/,
  );
  expect(() => network.apply(parameters, { z: tf.zeros([1, 4, 4, 1]), lambda: tf.zeros([1]) })).toThrow(/z has shape/);
  expect(() => network.apply(parameters, { z, lambda: tf.zeros([1]) })).toThrow(/lambda has shape/);
});
