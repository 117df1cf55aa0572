// pnpm bench:curves: the MNIST example's training with this project's convolutions and linear maps, with the library's, and
// from other seeds: what the operations change beside what a seed changes.
import { fold, key } from '@logsnr/core';
import { mnist } from '@logsnr/data/node';
import { CONV_3X3, CONV_3X3_FILTER_GRADIENT, CONV_3X3_INPUT_GRADIENT, LINEAR } from '@logsnr/nn';
import { native, useBackend } from '@logsnr/tensorflow';
import { train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { batches, classes, network, optimizer, schedule } from '../examples/mnist/digits.js';
import { above } from './options.js';

const { steps } = new Command('bench:curves')
  .description('Trains the digits four times and compares the losses: own operations, the library’s, two other seeds.')
  .option('--steps <n>', 'steps of each training', above('steps', 100, true), 500)
  .parse()
  .opts<{ steps: number }>();

await useBackend({ backend: 'tensorflow' });
const data = await mnist();
// The others are not taken where one of a kind is missing.
const own = [CONV_3X3, CONV_3X3_INPUT_GRADIENT, CONV_3X3_FILTER_GRADIENT, LINEAR].map((name) => {
  const kernel = tf.getKernel(name, 'tensorflow');
  if (!kernel) throw new Error('the operations of this project are not compiled: pnpm run doctor says why.');
  return kernel;
});

async function losses(seed: number): Promise<number[]> {
  const k = key(seed);
  const start = performance.now();
  const trained = await train({
    network,
    prediction: 'v',
    conditioning: classes,
    schedule,
    batch: batches(data.train, fold(k, 2)),
    pUncond: 0.1,
    optimizer,
    emaDecay: 0.995,
    key: fold(k, 3),
    steps,
    runtime: native(),
  });
  tf.dispose([trained.parameters, trained.ema] as never);
  console.error(`${steps} steps in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  // Means of 50 steps: a single loss is mostly noise.
  return Array.from({ length: Math.floor(steps / 50) }, (_, i) => mean(trained.losses.slice(50 * i, 50 * i + 50)));
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const ours = await losses(0);
for (const { kernelName, backendName } of own) tf.unregisterKernel(kernelName, backendName);
const library = await losses(0);
for (const kernel of own) tf.registerKernel(kernel);
const seeds = [await losses(1), await losses(2)];

const names = ['own', 'library', 'seed 1', 'seed 2'];
console.log(`| steps | ${names.join(' | ')} |\n| --- | ${names.map(() => '--:').join(' | ')} |`);
ours.forEach((loss, i) => {
  const cells = [loss, ...[library, ...seeds].map((curve) => curve[i] as number)].map((value) => value.toFixed(4));
  console.log(`| ${50 * i}–${50 * i + 50} | ${cells.join(' | ')} |`);
});
const apart = (curve: readonly number[]) => mean(curve.map((loss, i) => Math.abs(loss / (ours[i] as number) - 1)));
const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;
console.log(
  `From own operations, mean over the rows: the library's ${percent(apart(library))}, other seeds ${seeds.map((curve) => percent(apart(curve))).join(' and ')}.`,
);
