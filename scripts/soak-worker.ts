// The run that soak-resume.ts kills: `soak-worker.ts FOLDER STEPS [eager] [unet] [images=FOLDER] [line] [throw] [pause=N]`. Prints a
// line after its first step, and one where it waits to be killed, after step N. `images` trains a U-Net on a folder of
// images, `line` shows each step on standard error, `throw` throws where nothing catches it.

import { fold, key, labels, normal, normalNumbers } from '@logsnr/core';
import { batchTensors, datasetOf, flips, type ImageSet, shuffledBatches } from '@logsnr/data';
import { imageFolder } from '@logsnr/data/node';
import { unet } from '@logsnr/networks';
import { constant, type Network, shapesOf } from '@logsnr/nn';
import { progressLine, withRun } from '@logsnr/runs';
import { arctan } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import { adam, cosineDecay, ema, train } from '@logsnr/training';

import * as tf from '@tensorflow/tfjs-core';

const [folder = '', steps = '', ...modes] = process.argv.slice(2);
await useBackend({ quiet: true });
const given = (name: string) => modes.find((mode) => mode.startsWith(`${name}=`))?.slice(name.length + 1);
const pause = Number(given('pause') ?? Number.POSITIVE_INFINITY);
const seed = key(1);
const count = 500;
const noise = normalNumbers({ words: seed.words, counter: 0, samples: count, blocks: 16 });
const data: ImageSet = {
  images: Uint8Array.from(noise, (x) => Math.max(0, Math.min(255, Math.round(127.5 + 60 * x)))),
  labels: Uint8Array.from({ length: count }, (_, i) => i % 4),
  ...{ count, height: 8, width: 8, channels: 1, classes: 4 },
};
const images = given('images');
const dataset = images === undefined ? datasetOf(data) : await imageFolder(images, { size: 16, threads: 1 });
const { height, width, channels, classes } = dataset;
const network =
  modes.includes('unet') || images
    ? unet({ height, width, channels, classes, base: 8, multipliers: [1, 2], blocks: 1, groups: 4 })
    : dense();
const batches = shuffledBatches(dataset, { key: fold(seed, 0), batchSize: 16, ...(images ? { change: flips } : {}) });
let first = true;
const line = await progressLine({ every: 0, mode: modes.includes('line') ? 'line' : 'quiet' });
await withRun(
  {
    folder,
    settings: { seed: 1, batch: 16, data: await dataset.hash() },
    shapes: shapesOf(network),
    save: { steps: 5 },
    logEvery: 4,
    async onStep(report) {
      const { step } = report;
      line.update(report);
      if (first) console.log('first step');
      if (first && modes.includes('throw'))
        setTimeout(() => {
          throw new Error('nobody catches this');
        });
      first = false;
      if (step < pause) return;
      console.log('paused');
      await new Promise((done) => setTimeout(done, 2 ** 30));
    },
  },
  (run) =>
    train({
      network,
      prediction: 'v',
      conditioning: labels(classes),
      schedule: arctan({ lambdaMin: -10, lambdaMax: 10 }),
      async batch(step) {
        const { images, labels } = batchTensors(await batches(step));
        return { images, condition: labels };
      },
      optimizer: adam({ learningRate: cosineDecay(3e-3), clipNorm: 1, weightDecay: 0.01, warmup: 10 }),
      accumulate: 2,
      emaDecay: 0.99,
      averages: { slow: ema(0.999) },
      key: fold(seed, 1),
      steps: Number(steps),
      ...(modes.includes('eager') ? {} : { runtime: native() }),
      ...run,
    }),
);

await batches.stop();
await dataset.close();

/** One hidden layer over the pixels, λ and the class: starts in no time, and writes 0.8 MB at each checkpoint. */
function dense(): Network<tf.Tensor1D> {
  const [inputs, hidden, outputs] = [64 + 1 + 5, 256, 64];
  return {
    parameters: { in: constant([inputs, hidden]), bias: constant([hidden]), out: constant([hidden, outputs]) },
    init: (k) => ({
      in: tf.tidy(() => tf.mul(normal(fold(k, 0), [inputs, hidden]), inputs ** -0.5)),
      bias: tf.zeros([hidden]),
      out: tf.tidy(() => tf.mul(normal(fold(k, 1), [hidden, outputs]), hidden ** -0.5)),
    }),
    apply: (parameters, { z, lambda, condition }) =>
      tf.tidy(() => {
        const features = tf.concat2d(
          [
            tf.reshape(z, [-1, 64]) as tf.Tensor2D,
            tf.reshape(tf.div(lambda, 10), [-1, 1]) as tf.Tensor2D,
            tf.cast(tf.oneHot(condition, 5), 'float32') as tf.Tensor2D,
          ],
          1,
        );
        const h = tf.tanh(tf.add(tf.matMul(features, parameters.in as tf.Tensor2D), parameters.bias as tf.Tensor));
        return tf.reshape(tf.matMul(h as tf.Tensor2D, parameters.out as tf.Tensor2D), z.shape);
      }),
  };
}
