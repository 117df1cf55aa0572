import { type Network, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { describe } from './describe.js';
import { networkOf } from './network-spec.js';
import { preset, presetNames } from './presets.js';

/** Learned numbers of the peers' own modules, made by them on PyTorch's meta device. */
const published: Readonly<Record<string, number>> = {
  // facebookresearch/DiT, without the fixed table `pos_embed`, [tokens, size], which ours is not stored with.
  ...{ 'dit-xl-2': 674834720, 'dit-xl-4': 675000704, 'dit-xl-8': 675664640 },
  ...{ 'dit-l-2': 457840672, 'dit-l-4': 457988224, 'dit-l-8': 458578432 },
  ...{ 'dit-b-2': 130315808, 'dit-b-4': 130426496, 'dit-b-8': 130869248 },
  ...{ 'dit-s-2': 32865056, 'dit-s-4': 32920448, 'dit-s-8': 33142016 },
  // openai/guided-diffusion, by create_model, create_classifier and sr_create_model with the flags in its README.
  ...{ 'adm-imagenet64': 295904454, 'adm-imagenet128': 421529606, 'adm-imagenet256': 553838086 },
  ...{ 'adm-imagenet256-unconditional': 552814086, 'adm-imagenet512': 558997638 },
  ...{ 'adm-imagenet64-classifier': 65438568, 'adm-imagenet128-classifier': 42568040 },
  ...{ 'adm-imagenet256-classifier': 54096360, 'adm-imagenet512-classifier': 54448360 },
  ...{ 'adm-imagenet64-256-upsampler': 311795910, 'adm-imagenet128-512-upsampler': 308835270 },
  // UNet2DModel of diffusers with the settings of google/ddpm-cifar10-32.
  'ddpm-cifar10': 35746307,
  // Of this project, see examples/mnist.
  mnist: 288881,
};

test.each(presetNames)('%s has as many parameters as the published model', (name) => {
  const shapes = Object.values(shapesOf(networkOf(preset(name))));
  expect(shapes.reduce((sum, shape) => sum + tf.util.sizeFromShape([...shape]), 0)).toBe(published[name]);
});

/** Billions of multiply-adds of one pass, which the paper calls Gflops (Peebles & Xie 2022, table 4). */
const gflops: Readonly<Record<string, number>> = {
  ...{ 'dit-xl-2': 118.64, 'dit-xl-4': 29.05, 'dit-xl-8': 7.39, 'dit-l-2': 80.71, 'dit-l-4': 19.7, 'dit-l-8': 5.01 },
  ...{ 'dit-b-2': 23.01, 'dit-b-4': 5.56, 'dit-b-8': 1.42, 'dit-s-2': 6.06, 'dit-s-4': 1.41, 'dit-s-8': 0.36 },
};

test.each(Object.entries(gflops))('%s has %d · 10⁹ multiply-adds, as its paper says', (name, expected) => {
  const chosen = preset(name);
  const { multiplyAdds } = describe(networkOf(chosen), (n) => ({
    z: tf.zeros([n, ...chosen.image]),
    lambda: tf.zeros([n]) as tf.Tensor1D,
    condition: tf.zeros([n], 'int32') as tf.Tensor1D,
  }));
  expect(Math.abs(multiplyAdds / 1e9 - expected)).toBeLessThan(0.006 + 2e-4 * expected);
});

test('the name of a preset says its kind, and classifiers alone predict nothing', () => {
  const kinds = new Map(presetNames.map((name) => [name, preset(name).network.kind]));
  for (const [name, kind] of kinds) {
    const ending = /^dit-|-classifier$|-upsampler$/.exec(name)?.[0] ?? '';
    expect(kind, name).toBe(
      { 'dit-': 'dit', '-classifier': 'noisy-classifier', '-upsampler': 'super-resolution' }[ending] ?? 'unet',
    );
    expect(preset(name).prediction === undefined, name).toBe(kind === 'noisy-classifier');
  }
  // By the type of its name it takes labels alone.
  const network: Network<tf.Tensor1D> = networkOf(preset('adm-imagenet64'));
  expect(shapesOf(network)['class.table']).toEqual([1000, 768]);
});

test('presets agree with their networks', () => {
  for (const name of presetNames) {
    const {
      network: { config },
      classes,
      nullClass,
      image,
      variance,
      times,
    } = preset(name);
    expect([config.height, config.width, config.channels]).toEqual(image);
    expect(config.time).toEqual(times);
    const { outputs = config.channels } = config;
    if (preset(name).prediction) expect(outputs, name).toBe(config.channels * (variance ? 2 : 1));
    expect(config.classes).toBe(classes);
    if (classes > 0 && preset(name).prediction) expect(config.nullClass ?? true, name).toBe(nullClass);
  }
});

test('a kind that is none is refused', () => {
  const network = { kind: 'vit', config: {} } as never;
  expect(() => networkOf({ network })).toThrow(/the network's kind is "vit"; it must be "unet", "dit",/);
});

test('presets are JSON, and a name that none has is refused', () => {
  for (const name of presetNames) expect(JSON.parse(JSON.stringify(preset(name)))).toEqual(preset(name));
  expect(() => preset('dit-xl-3')).toThrow(/the preset is "dit-xl-3"; it must be/);
});
