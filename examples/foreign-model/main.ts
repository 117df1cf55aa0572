// A model from elsewhere: PyTorch and diffusers trained and saved it (train.py). It is loaded in one call, its ε̂ is compared
// with PyTorch's, and it is sampled by log-SNR with guidance: the same noise at every w.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { epsOf, key } from '@logsnr/core';
import { mnist } from '@logsnr/data/node';
import { guidanceSweep, judgeOf, trainJudge } from '@logsnr/evaluation';
import { sweepPicture } from '@logsnr/evaluation/node';
import { writePng } from '@logsnr/figures';
import { classifierFree, staticThreshold, thresholdX } from '@logsnr/guidance';
import { decodeSafetensors } from '@logsnr/io';
import { loadModel } from '@logsnr/pretrained';
import { compileSampler, sampleMany, unipc } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';

const options = new Command('foreign-model')
  .description('Samples a UNet2DModel that diffusers saved, with guidance, and compares its ε̂ with PyTorch’s.')
  .option('--folder <dir>', 'what train.py wrote', fileURLToPath(new URL('checkpoint', import.meta.url)))
  .option('--out <dir>', 'folder for samples.png', 'out/foreign-model')
  .option('--samples <n>', 'samples at each w', Number, 200)
  .option('--steps <T>', 'sampling steps', Number, 24)
  .option('--judge-steps <n>', 'training steps of the classifier that reads the samples', Number, 1000)
  .option('--quick', 'few steps, to see it run', false)
  .parse()
  .opts<{ folder: string; out: string; samples: number; steps: number; judgeSteps: number; quick: boolean }>();
if (options.quick) Object.assign(options, { samples: 20, steps: 4, judgeSteps: 30 });
await useBackend();
const runtime = native();

// The label 10 was ∅ in training, which no configuration says.
const { model, conditioning, image, times } = await loadModel(options.folder, { nullLabel: 10 });
if (!times) throw new RangeError(`the model in ${options.folder} knows no times.`);

// What PyTorch makes of the same weights, at its own times t.
const { tensors } = decodeSafetensors(readFileSync(join(options.folder, 'expected.safetensors')));
const [z, t, labels, expected] = ['z', 't', 'labels', 'eps'].map((name) => {
  const { shape, data } = tensors[name] ?? { shape: [0], data: new Float32Array() };
  return tf.tensor(data as Float32Array, [...shape], data instanceof Int32Array ? 'int32' : 'float32');
}) as [tf.Tensor, tf.Tensor, tf.Tensor1D, tf.Tensor];
const lambda = tf.tensor1d(Array.from(t.dataSync(), times.lambdaOf));
const difference = tf.max(tf.abs(tf.sub(epsOf(model)(z, lambda, labels), expected)));
console.log(
  `ε̂ of ${z.shape[0]} images: differs from PyTorch's by ${difference.dataSync()[0]?.toExponential(1)} at most`,
);

// A classifier reads the samples, 200 of each w; sample i is of the digit i mod 10.
const [data, digits] = [await mnist(), Array.from({ length: options.samples }, (_, i) => i % 10)];
const { parameters } = await trainJudge({ data: data.train, key: key(1), steps: options.judgeSteps, runtime });
const rows = await guidanceSweep({
  weights: [0, 1, 3],
  judge: await judgeOf(parameters, data.test),
  labels: digits,
  draw(w) {
    const guided = thresholdX(classifierFree(model, conditioning, w), staticThreshold());
    const draw = compileSampler(runtime, { model: guided, sampler: unipc() });
    const condition = (first: number, n: number) => conditioning.of(digits.slice(first, first + n));
    const of = { lambdas: grid(times.schedule, options.steps), shape: image, key: key(0) };
    return sampleMany({ draw, samples: options.samples, condition, ...of });
  },
});
for (const { w, accuracy, is, seconds } of rows)
  console.log(
    `w = ${w}: ${(100 * accuracy).toFixed(1)} % read right, Inception Score ${is.toFixed(2)}, ${seconds.toFixed(1)} s`,
  );
const file = join(options.out, 'samples.png');
await writePng(file, sweepPicture(rows, { title: 'Trained in PyTorch, sampled here: one noise, growing w' }));
console.log(file);
