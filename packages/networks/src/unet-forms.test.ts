import { flatten, unflatten } from '@logsnr/core';
import { decodeSafetensors, encodeSafetensors } from '@logsnr/io';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSlopes } from '../../../test/slopes.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';

const small: UnetConfig = {
  height: 8,
  width: 4,
  channels: 2,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  heads: 2,
  groups: 2,
};

// The blocks of ADM, of DDPM, and what lies between, each with some parameters that it changes.
const forms: Record<string, [Partial<UnetConfig>, names: string[]]> = {
  'residual blocks that halve and double': [
    { resample: 'residual', skipBias: true, nullClass: false },
    ['down.0.downsample.conv1.kernel', 'up.1.upsample.film.kernel', 'up.0.block.1.skip.bias', 'class.table'],
  ],
  'strided convolutions': [{ resample: 'conv', outputs: 4 }, ['down.0.downsample.kernel', 'up.1.upsample.bias']],
  'strided convolutions and an added embedding': [
    { resample: 'conv-same', scaleShift: false, epsilon: 1e-3 },
    ['down.0.downsample.kernel', 'down.1.block.0.film.kernel', 'middle.block.1.norm2.gamma', 'lambda.linear1.kernel'],
  ],
  'attention in the middle alone': [{ attention: [], middleAttention: true }, ['middle.attention.0.qkv.kernel']],
  'no attention in the middle': [{ middleAttention: false }, ['middle.block.0.conv1.kernel']],
  'a level of half the width': [{ multipliers: [0.5, 1.5] }, ['up.0.block.1.skip.kernel', 'down.1.block.0.conv1.bias']],
  'the time of λ': [
    { time: { betas: 'linear', first: 'sin', shift: 1 } },
    ['lambda.linear1.kernel', 'lambda.linear1.bias', 'up.0.block.0.film.bias'],
  ],
};

const input = () => ({
  z: random<tf.Tensor4D>(1, 3, 8, 4, 2),
  lambda: tf.tensor1d([-9, 0.5, 7]),
  condition: tf.tensor1d([0, 2, 1], 'int32'),
});

describe.each(Object.entries(forms))('%s', (_, [form, names]) => {
  const network = unet({ ...small, ...form });
  const parameters = randomised(network);

  test('gradients are those of finite differences', () => {
    expectSlopes(network, input(), { names });
  });

  test('init and apply leave nothing, and fresh parameters give exactly 0', () => {
    const given = input();
    expectNoLeak(() => [network.apply(parameters, given)]);
    tf.tidy(() => {
      const fresh = network.init({ words: [0, 1] });
      expect(Math.max(...tf.abs(network.apply(fresh, given)).dataSync())).toBe(0);
    });
  });

  test('parameters that were saved and loaded give the same', () => {
    const flat = Object.entries(flatten<tf.Tensor>(parameters));
    const tensors = Object.fromEntries(
      flat.map(([name, t]) => [name, { shape: t.shape, data: t.dataSync() as Float32Array }]),
    );
    const loaded = Object.entries(decodeSafetensors(encodeSafetensors({ tensors })).tensors).map(
      ([name, { data, shape }]) => [name, tf.tensor(data as Float32Array, [...shape])] as const,
    );
    const again = network.apply(unflatten(Object.fromEntries(loaded)) as Parameters, input());
    expect(difference(again, network.apply(parameters, input()))).toBe(0);
    expect(shapesOf(unet(JSON.parse(JSON.stringify({ ...small, ...form }))))).toEqual(shapesOf(network));
  });

  test('wasm, plain JavaScript and a compiled graph give the same', async () => {
    const run = () => network.apply(randomised(network), input()).dataSync();
    const expected = tf.tensor(run());
    for (const backend of ['wasm', 'cpu'] as const) {
      const values = await onBackend(backend, run);
      expect(difference(tf.tensor(values), expected), backend).toBeLessThan(1e-4);
    }
    if (backendInfo()?.backend !== 'tensorflow') return;
    const { z, lambda, condition } = input();
    const compiled = compile((z: tf.Tensor, lambda: tf.Tensor1D, condition: tf.Tensor1D) =>
      network.apply(parameters, { z, lambda, condition }),
    );
    expect(difference(compiled(z, lambda, condition), network.apply(parameters, input()))).toBeLessThan(1e-5);
  });
});
