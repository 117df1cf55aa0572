// A cascade (CDM: Ho et al. 2021) on CIFAR-10: a model of 16 × 16 pixels, and one that makes 32 × 32 of them, each guided with a weight of its
// own. With and without conditioning augmentation, beside one model of 32 × 32 pixels that costs as many operations.

import { join } from 'node:path';
import { type Conditioning, eager, fold, key, labels, type Model, uniforms } from '@logsnr/core';
import { batchTensors, datasetOf, flips, shuffledBatches, subset } from '@logsnr/data';
import { cifar10, cifar10Batch } from '@logsnr/data/node';
import { judgeBy, type Scores } from '@logsnr/evaluation';
import { packagedClassifier } from '@logsnr/evaluation/node';
import { captionedGrid, imageGrid, type RgbImage, writePng } from '@logsnr/figures';
import { averagePooling, classifierFree } from '@logsnr/guidance';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import {
  augmented,
  bind,
  describe,
  type SuperResolutionCondition,
  superResolution,
  superResolutionConditioning,
  unet,
} from '@logsnr/networks';
import { type Network, type Parameters, shapesOf } from '@logsnr/nn';
import { progressLine, withRun } from '@logsnr/runs';
import { cascade, compileSampler, dpmSolverPP2M } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import { adam, type Batch, cosineDecay, train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';

const options = new Command('cascade')
  .description(
    'CIFAR-10 in two stages, 16 → 32 pixels, with and without conditioning augmentation, beside one stage of equal cost.',
  )
  .option('--low-steps <n>', 'training steps of the low-resolution model', Number, 2500)
  .option('--high-steps <n>', 'training steps of each super-resolution model', Number, 1500)
  .option('--batch <n>', 'images a step', Number, 32)
  .option('--steps <T>', 'sampling steps of each stage', Number, 16)
  .option('--samples <n>', 'samples of each method', Number, 1000)
  .option('--low-w <w>', 'guidance weight of the low-resolution model, and of one stage', Number, 0.5)
  .option('--high-w <w>', 'guidance weight of the super-resolution models', Number, 0.2)
  .option('--lambda <list>', 'log-SNRs of the image between the stages, where it has noise', '6,3')
  .option('--seed <n>', 'seed of everything random', Number, 0)
  .option('--out <dir>', 'run folders, the picture and the figures: the same command again goes on', 'out/cascade')
  .option('--quick', 'a few seconds, to see it run', false)
  .parse()
  .opts<{
    lowSteps: number;
    highSteps: number;
    batch: number;
    steps: number;
    samples: number;
    lowW: number;
    highW: number;
    lambda: string;
    seed: number;
    out: string;
    quick: boolean;
  }>();
if (options.quick)
  Object.assign(options, {
    lowSteps: 3,
    highSteps: 3,
    batch: 4,
    steps: 3,
    samples: 20,
    lambda: '3',
    out: 'out/cascade-quick',
  });
const { batch: size, steps: T, samples } = options;
const started = performance.now();
await useBackend();
const runtime = options.quick ? eager : native();
const seed = key(options.seed);
const file = (name: string) => join(options.out, name);
const one = options.quick ? await cifar10Batch('test_batch') : undefined;
const data = one ? { train: one, test: subset(one, 100) } : await cifar10();
const dataset = datasetOf(data.train);
const hash = await dataset.hash();

// The networks. Those of super-resolution see the image of 16 × 16 pixels enlarged, and with `noise` are told its log-SNR.
const width = options.quick ? 8 : 32;
const shared = { channels: 3, classes: 10, base: width, blocks: 1, attention: [8], groups: 8 };
const small = { ...shared, height: 16, width: 16, multipliers: [1, 2] };
const large = { ...shared, height: 32, width: 32, multipliers: [1, 2, 2] };
const upsampler = { ...large, base: options.quick ? 8 : 24, low: { height: 16, width: 16 } };
const classes = labels(10);
const both = superResolutionConditioning(classes);
const schedule = arctan({ lambdaMin: -12, lambdaMax: 12 });
const pooled = averagePooling(2);
/** Levels of noise between the stages in training: λ is uniform. */
const [noisiest, cleanest] = [0, 12];

/** A model trained in a run folder of its own. Every step draws mirrored images; `batchOf` makes of them what is learned. */
async function trained<C>(
  name: string,
  network: Network<C>,
  conditioning: Conditioning<C>,
  steps: number,
  settings: object,
  batchOf: (images: tf.Tensor4D, label: tf.Tensor1D, step: number) => Batch<C>,
): Promise<Parameters> {
  const own = fold(seed, 1);
  const batches = shuffledBatches(dataset, { key: fold(own, 0), batchSize: size, change: flips });
  const line = await progressLine({ label: name });
  const run = {
    folder: file(name),
    settings: { seed: options.seed, batch: size, steps, data: hash, ...settings },
    shapes: shapesOf(network),
    onStep: line.update,
  };
  const { ema } = await withRun(run, (run) =>
    train({
      network,
      prediction: 'v',
      conditioning,
      schedule,
      async batch(step) {
        const { images, labels } = batchTensors(await batches(step));
        return batchOf(images, labels, step);
      },
      optimizer: adam({ learningRate: cosineDecay(1e-3, 1e-5), clipNorm: 1, warmup: 50 }),
      emaDecay: 0.995,
      key: fold(own, 1),
      steps,
      runtime,
      ...run,
    }),
  );
  line.stop();
  await batches.stop();
  return ema;
}

/** The image of low resolution as a condition: clean, or noised at a λ of each image's own. */
const conditionOf = (
  images: tf.Tensor4D,
  label: tf.Tensor1D,
  noise: boolean,
  step: number,
): SuperResolutionCondition => {
  const image = pooled(images) as tf.Tensor4D;
  if (!noise) return { image, label };
  const at = fold(seed, 2, step);
  const lambda = tf.tensor1d([...uniforms(at, size)].map((u) => noisiest + (cleanest - noisiest) * u));
  try {
    return augmented({ image, label, lambda }, { key: fold(at, 0) });
  } finally {
    tf.dispose([image, lambda, label]);
  }
};
const superResolved = (noise: boolean) => {
  const config = { ...upsampler, noise };
  const network = superResolution(config);
  return {
    network,
    train: () =>
      trained(
        noise ? 'high-augmented' : 'high',
        network,
        both,
        options.highSteps,
        { ...config },
        (images, label, step) => ({
          images,
          condition: conditionOf(images, label, noise, step),
        }),
      ),
  };
};
const [lowNetwork, singleNetwork] = [unet(small), unet(large)];
const [plain, noisy] = [superResolved(false), superResolved(true)];

// What they cost: the multiply-adds of a forward pass of one image, as `describe` counts them. One stage trains and samples for as many
// as the cascade does; an operation of training costs three times one of sampling, for all networks alike.
const costOf = <C>(network: Network<C>, height: number, condition: (n: number) => C) =>
  describe(network, (n) => ({
    ...{ z: tf.zeros<tf.Rank.R4>([n, height, height, 3]), lambda: tf.zeros<tf.Rank.R1>([n]) },
    condition: condition(n),
  })).multiplyAdds;
const label = (n: number) => tf.zeros<tf.Rank.R1>([n], 'int32');
const [lowCost, singleCost] = [costOf(lowNetwork, 16, label), costOf(singleNetwork, 32, label)];
const highCost = costOf(noisy.network, 32, (n) => ({
  ...{ image: tf.zeros<tf.Rank.R4>([n, 16, 16, 3]), lambda: tf.zeros<tf.Rank.R1>([n]), label: label(n) },
}));
const singleSteps = Math.round((lowCost * options.lowSteps + highCost * options.highSteps) / singleCost);
const singleT = Math.max(2, Math.round((T * (lowCost + highCost)) / singleCost));
const mega = (value: number) => `${(value / 1e6).toFixed(0)} M`;
console.log(
  `multiply-adds of an image: ${mega(lowCost)} at 16 × 16, ${mega(highCost)} from 16 to 32, ${mega(singleCost)} at 32 × 32 in one stage`,
);
console.log(
  `one stage of equal cost: ${singleSteps} training steps for ${options.lowSteps} + ${options.highSteps}, T = ${singleT} for ${T} + ${T}`,
);

const low = await trained('low', lowNetwork, classes, options.lowSteps, small, (images, condition) => {
  const image = pooled(images);
  images.dispose();
  return { images: image, condition };
});
const high = await plain.train();
const highAugmented = await noisy.train();
const single = await trained('single', singleNetwork, classes, singleSteps, large, (images, condition) => ({
  images,
  condition,
}));

// The same noise everywhere; sample i is of the class i mod 10. FID and IS are in the features of a small classifier of CIFAR-10.
const classifier = await packagedClassifier('cifar10', { runtime });
const judge = await judgeBy(classifier.read, data.test);
const wanted = Array.from({ length: samples }, (_, i) => i % 10);
/** Samples at once. */
const AT_ONCE = 50;
const noise = fold(seed, 3);
const drawing = <C>(model: Model<C>) => compileSampler(runtime, { model, sampler: dpmSolverPP2M() });

/** A way to draw: the images of each stage. */
interface Arm {
  draw(condition: tf.Tensor1D, firstSample: number): tf.Tensor[];
  dispose(): void;
}

function oneStage(w: number): Arm {
  const guided = drawing(classifierFree(bind(singleNetwork, single, { prediction: 'v' }), classes, w));
  const place = { lambdas: grid(schedule, singleT), key: noise };
  return {
    draw: (condition, firstSample) => [
      guided.sample({ ...place, condition, shape: [condition.size, 32, 32, 3], firstSample }),
    ],
    dispose: () => guided.dispose(),
  };
}

/** Two stages, the image between them clean or noised to the log-SNR `lambda`. */
function twoStages(lowW: number, highW: number, lambda: number | null): Arm {
  const { network } = lambda === null ? plain : noisy;
  const weights = lambda === null ? high : highAugmented;
  const lows = drawing(classifierFree(bind(lowNetwork, low, { prediction: 'v' }), classes, lowW));
  const highs = drawing(classifierFree(bind(network, weights, { prediction: 'v' }), both, highW));
  const draw = cascade<tf.Tensor1D, SuperResolutionCondition>(
    { draw: lows, lambdas: grid(schedule, T), shape: [16, 16, 3] },
    {
      ...{ draw: highs, lambdas: grid(schedule, T), shape: [32, 32, 3] },
      condition(images, label, where) {
        const image = images as tf.Tensor4D;
        if (lambda === null) return { image: image.clone(), label: label.clone() };
        const level = tf.fill([image.shape[0]], lambda) as tf.Tensor1D;
        const noised = augmented({ image, label, lambda: level }, where);
        level.dispose();
        return noised;
      },
    },
  );
  return {
    draw: (condition, firstSample) => draw({ condition, samples: condition.size, key: noise, firstSample }),
    dispose() {
      lows.dispose();
      highs.dispose();
    },
  };
}

/** All samples: for each stage its images, clipped. */
function sampled({ draw, dispose }: Arm): tf.Tensor4D[] {
  const parts: tf.Tensor[][] = [];
  for (let first = 0; first < samples; first += AT_ONCE) {
    const condition = classes.of(wanted.slice(first, first + AT_ONCE));
    parts.push(draw(condition, first));
    condition.dispose();
  }
  dispose();
  const stages = (parts[0] as tf.Tensor[]).map((_, stage) =>
    tf.tidy(() => tf.clipByValue(tf.concat(parts.map((part) => part[stage] as tf.Tensor)), -1, 1) as tf.Tensor4D),
  );
  tf.dispose(parts);
  return stages;
}

const { lowW, highW } = options;
const levels = options.lambda.split(',').map(Number);
const arms: { name: string; w: string; arm: () => Arm }[] = [
  [0, 0],
  [lowW, highW],
].flatMap(([a = 0, b = 0]) => [
  { name: 'one stage of equal cost', w: `${a}`, arm: () => oneStage(a) },
  { name: 'cascade without augmentation', w: `${a}, ${b}`, arm: () => twoStages(a, b, null) },
  ...levels.map((lambda) => ({
    name: `cascade, noise at λ = ${lambda}`,
    ...{ w: `${a}, ${b}`, arm: () => twoStages(a, b, lambda) },
  })),
]);
const rows: (Scores & { name: string; w: string; seconds: number })[] = [];
const pictures: { caption: string; images: RgbImage[] }[] = [];
const line = ({ name, w, fid, is, accuracy }: Scores & { name: string; w: string }, seconds = '') =>
  `${name.padEnd(30)} ${w.padEnd(9)} ${fid.toFixed(2).padStart(7)} ${is.toFixed(3).padStart(7)} ${(100 * accuracy).toFixed(1).padStart(9)} %  ${seconds.padStart(7)}`;
console.log(`method                         w             FID      IS   read right  seconds`);
for (const { name, w, arm } of arms) {
  const began = performance.now();
  const stages = sampled(arm());
  const images = stages.at(-1) as tf.Tensor4D;
  const seconds = (performance.now() - began) / 1000;
  const row = { name, w, ...(await judge.score(images, wanted)), seconds };
  rows.push(row);
  console.log(line(row, seconds.toFixed(0)));
  const shown = stages.map((stage) => tf.slice(stage, 0, Math.min(20, samples)));
  for (const stage of shown)
    pictures.push({
      caption: stage.shape[1] === 16 ? `w = ${w}\n16 × 16` : `${name}\nw = ${w}`,
      images: [imageGrid(stage, { columns: 20, scale: 32 / (stage.shape[1] as number) })],
    });
  tf.dispose([stages, shown]);
}
// What these figures would be for perfect samples.
const originals = subset(data.train, samples);
const real = { name: `${samples} real images`, w: '', ...(await judge.score(originals, originals.labels)) };
console.log(line(real));
await writePng(
  file('samples.png'),
  captionedGrid({ title: 'One noise: 16 × 16 pixels, and 32 × 32 made of them', rows: pictures }),
);
const seconds = (performance.now() - started) / 1000;
const report = {
  ...{ multiplyAdds: { low: lowCost, high: highCost, single: singleCost }, singleSteps, singleT },
  rows,
  real,
  seconds,
};
await replaceFile(file('report.json'), piecesOf(`${JSON.stringify(report, null, 2)}\n`));
console.log(`samples.png and report.json are in ${options.out} (${seconds.toFixed(0)} s)`);
await dataset.close();
