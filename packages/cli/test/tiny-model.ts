import { free, key, normal, unflatten } from '@logsnr/core';
import { networkOf } from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { FORMAT, writeRecord, writeWeights } from '../src/model-folder.js';

/** The network of a tiny model of digits. */
const NETWORK = {
  kind: 'unet',
  config: {
    ...{ height: 28, width: 28, channels: 1, classes: 10, nullClass: true },
    ...{ base: 2, multipliers: [1], blocks: 1, attention: [], groups: 1 },
  },
} as const;

/** Writes a model folder of digits with random weights: what `logsnr sample` and `logsnr sweep` take, made in no time. */
export async function writeTinyModel(
  folder: string,
  { seed = 0, name = 'tiny', pUncond = 0.1 }: { seed?: number; name?: string; pUncond?: number } = {},
): Promise<void> {
  const drawn = Object.entries(shapesOf(networkOf({ network: NETWORK }))).map(([path, shape], i) => [
    path,
    tf.tidy(() => tf.mul(normal(key(1000 * seed + i), shape), 0.3)),
  ]);
  const parameters = unflatten(Object.fromEntries(drawn)) as Parameters;
  await writeWeights(folder, NETWORK, parameters);
  await writeRecord(folder, {
    ...FORMAT,
    ...{ name, network: NETWORK, prediction: 'v', training: { pUncond, steps: 1 }, data: { name: 'mnist' } },
    schedule: { name: 'arctan', lambdaMin: -12, lambdaMax: 12 },
  });
  free(parameters);
}
