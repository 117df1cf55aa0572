// The main job: trains a class-conditional diffusion model on MNIST with classifier-free guidance (Ho & Salimans 2022),
// samples the ten digits at several guidance weights from the same noise, and measures what guidance does.
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bind, eager, fold, key, labels, readModel } from '@logsnr/core';
import { batch, shuffledIndices, subset } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { captionedGrid, encodePng, imageGrid, lineChart, writePng } from '@logsnr/figures';
import { classifierFree } from '@logsnr/guidance';
import { accuracy, frechetDistance, gaussianStatistics, inceptionScore } from '@logsnr/metrics';
import { convClassifier, unet } from '@logsnr/networks';
import { ancestral, compileSampler, ddim, sample, sampleMany } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import {
  adam,
  cosineDecay,
  loadCheckpoint,
  optimize,
  progressLine,
  saveCheckpoint,
  type TrainingState,
  train,
} from '@logsnr/training';
import { withRun } from '@logsnr/training/node';
import * as tf from '@tensorflow/tfjs-core';
import { readOptions } from './options.js';

const options = readOptions();
const started = performance.now();
const { backend, tensorflow } = await useBackend();
const onNative = backend === 'tensorflow';
// Compiled graphs for the diffusion model, in the precision that was asked for; the judge always computes in float32.
const { precision } = options;
const runtime = options.compile ? native({ precision }) : eager;
const seed = key(options.seed);
const classes = labels(10);
const data = await mnist();
mkdirSync(options.out, { recursive: true });
const file = (name: string) => join(options.out, name);
const ofRun = /^(checkpoints|classifier|samples|metrics\.jsonl|events\.out\.tfevents\..*)$/;
if (options.fresh)
  for (const name of readdirSync(options.out).filter((name) => ofRun.test(name)))
    rmSync(file(name), { recursive: true });
const { progress: mode } = options;

// A digit classifier judges the samples: its features serve the Fréchet distance, its probabilities the Inception
// Score.
const classifier = convClassifier({ height: 28, width: 28, channels: 1, classes: 10 });
let line = await progressLine({ label: 'classifier', mode });
const judge = await withRun(
  { folder: file('classifier'), settings: { seed: options.seed }, onStep: line.update },
  (run) =>
    optimize({
      parameters: classifier.init(fold(seed, 0)),
      inputs: (step) => batch(data.train, shuffledIndices(fold(seed, 1), data.train.count, step, 64)),
      loss: (parameters, { images, labels }) => {
        const { logits } = classifier.apply(parameters, images);
        return tf.neg(tf.mean(tf.sum(tf.mul(tf.oneHot(labels, 10), tf.logSoftmax(logits)), 1)));
      },
      optimizer: adam({ learningRate: cosineDecay(4e-3), warmup: 20 }),
      steps: 1500,
      images: () => 64,
      runtime: options.compile ? native() : eager,
      ...run,
    }),
);
line.stop();

/** Features and class probabilities of images, 250 at a time. */
function judged(images: tf.Tensor4D) {
  const [n] = images.shape;
  const [features, probabilities]: number[][] = [[], []];
  for (let first = 0; first < n; first += 250)
    tf.tidy(() => {
      const part = tf.slice(images, first, Math.min(250, n - first));
      const result = classifier.apply(judge.parameters, part);
      features?.push(...result.features.dataSync());
      probabilities?.push(...tf.softmax(result.logits).dataSync());
    });
  const matrix = (data: number[] = []) => ({ data, rows: n, columns: data.length / n });
  return { features: matrix(features), probabilities: matrix(probabilities) };
}
const everything = (set: typeof data.test) => batch(set, [...Array(set.count).keys()]).images;
const test = judged(everything(data.test));
const reference = gaussianStatistics(test.features);
const classifierAccuracy = accuracy(test.probabilities, data.test.labels);
console.log(`digit classifier: reads ${(100 * classifierAccuracy).toFixed(2)} % of the test images right`);

// Training, Algorithm 1. The network predicts v; the loss is on ε.
const shape = {
  height: 28,
  width: 28,
  channels: 1,
  classes: 10,
  base: 16,
  multipliers: [1, 2, 2],
  blocks: 1,
  attention: [7],
  groups: 8,
};
const network = unet(shape);
const schedule = arctan({ lambdaMin: -12, lambdaMax: 12 });

// On the way: ten digits at w = 1 from the same noise each time. The weights are arguments, so one graph serves every
// time.
const raw = runtime.jit(network.apply);
const glimpse = ({ ema = {} }: TrainingState) => {
  const images = tf.tidy(() => {
    const model = readModel<tf.Tensor1D>((z, lambda, c) => raw(ema, z, lambda, c), { prediction: 'v' });
    return sample({
      model: classifierFree(model, classes, 1),
      condition: classes.of([...Array(10).keys()]),
      sampler: ddim(),
      lambdas: grid(schedule, 16),
      shape: [10, 28, 28, 1],
      key: fold(seed, 4),
    });
  });
  const picture = imageGrid(images as tf.Tensor4D, { columns: 10, scale: 3 });
  images.dispose();
  return { png: encodePng(picture), width: picture.width, height: picture.height };
};

/** The state in another run's checkpoint.safetensors, as the beginning of this one. */
const begun = async (path: string): Promise<TrainingState> => {
  const { key: _, ...state } = await loadCheckpoint(path, { shapes: network.shapes });
  return { ...state, seconds: 0 };
};
const from =
  options.from && resolve(options.from) !== resolve(file('checkpoint.safetensors')) ? options.from : undefined;
line = await progressLine({ mode });
const trained = await withRun(
  {
    folder: options.out,
    settings: { seed: options.seed, precision, compile: options.compile, network: shape, from: from ?? null },
    shapes: network.shapes,
    save: { seconds: 30 },
    samples: { every: 250, draw: glimpse },
    onStep: line.update,
  },
  async (run) =>
    train({
      network,
      prediction: 'v',
      conditioning: classes,
      schedule,
      batch: (step) => {
        const { images, labels } = batch(data.train, shuffledIndices(fold(seed, 2), data.train.count, step, 64));
        return { images, condition: labels };
      },
      pUncond: 0.1,
      optimizer: adam({ learningRate: cosineDecay(3e-3, 1e-4), clipNorm: 1, warmup: 20 }),
      emaDecay: 0.995,
      key: fold(seed, 3),
      minutes: options.minutes,
      runtime,
      ...run,
      ...(from && !run.from ? { from: await begun(from) } : {}),
    }),
);
line.stop();
await saveCheckpoint(file('checkpoint.safetensors'), { ...trained, metadata: { example: 'mnist' } });
const losses = trained.losses.filter(Number.isFinite); // a skipped step's may not be
const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const [lossFirst, lossLast] = [losses[0] ?? Number.NaN, average(losses.slice(-100))];
console.log(`trained ${trained.step} steps of 64 images: loss ${lossFirst.toFixed(3)} → ${lossLast.toFixed(4)}`);

// Sampling, Algorithm 2: the same noise at every w; sample i is of the digit i mod 10.
const samples = options.samples ?? (onNative ? 500 : 100);
const lambdas = grid(schedule, options.steps);
const digits = Array.from({ length: samples }, (_, i) => i % 10);
const table: { w: number; fid: number; is: number; accuracy: number }[] = [];
const rows: { caption: string; images: ReturnType<typeof imageGrid>[] }[] = [];
const samplingStarted = performance.now();
for (const [row, w] of options.w.entries()) {
  const model = classifierFree(bind(network, trained.ema, 'v'), classes, w);
  const drawing = compileSampler(runtime, { model, sampler: ancestral() });
  const drawn = sampleMany({
    draw: drawing,
    samples,
    condition: (first, n) => classes.of(digits.slice(first, first + n)),
    lambdas,
    shape: [28, 28, 1],
    key: fold(seed, 4),
    onProgress(so) {
      const done = (row * samples + so) / (options.w.length * samples);
      const left = ((performance.now() - samplingStarted) / 1000) * (1 / done - 1);
      process.stderr.write(`sampling ${(100 * done).toFixed(0)} % | w = ${w} | ${left.toFixed(0)} s left\n`);
    },
  });
  drawing.dispose();
  const images = tf.clipByValue(drawn, -1, 1) as tf.Tensor4D;
  const { features, probabilities } = judged(images);
  table.push({
    w,
    fid: frechetDistance(gaussianStatistics(features), reference),
    is: inceptionScore(probabilities).mean,
    accuracy: accuracy(probabilities, digits),
  });
  const shown = tf.slice(images, 0, Math.min(40, samples));
  rows.push({
    caption: `w = ${w}\n${(100 * (table.at(-1)?.accuracy ?? 0)).toFixed(0)} % read right`,
    images: [imageGrid(shown, { columns: 20 })],
  });
  tf.dispose([drawn, images, shown]);
}

// As many real images, for comparison: what these figures would be for perfect samples.
const real = judged(everything(subset(data.train, samples)));
const realFid = frechetDistance(gaussianStatistics(real.features), reference);
const realIs = inceptionScore(real.probabilities).mean;

const formatted = (value: number, digits: number) => value.toFixed(digits).padStart(9);
console.log('        w       FID        IS  read right');
for (const { w, fid, is, accuracy } of table)
  console.log(`${formatted(w, 2)} ${formatted(fid, 3)} ${formatted(is, 3)}  ${formatted(100 * accuracy, 1)} %`);
console.log(`real digits ${realFid.toFixed(3).padStart(7)} ${formatted(realIs, 3)}   (${samples} of the training set)`);

await writePng(file('samples.png'), captionedGrid({ title: 'One noise, growing guidance weight w', rows, scale: 2 }));
await writePng(
  file('tradeoff.png'),
  lineChart({
    title: 'Fidelity against diversity',
    subtitle: `${samples} samples at each w, in the features of a digit classifier`,
    x: { label: 'guidance weight w' },
    y: [{ label: 'FID (lower is better)' }, { label: 'Inception Score (higher is better)' }],
    series: [
      { name: 'FID', points: table.map(({ w, fid }) => [w, fid]), markers: true },
      { name: 'Inception Score', points: table.map(({ w, is }) => [w, is]), axis: 1, markers: true },
    ],
    references: [{ name: `FID of ${samples} real digits`, value: realFid }],
  }),
);
if (losses.length > 1) {
  const smooth = losses.map((_, i) => average(losses.slice(Math.max(0, i - 24), i + 25)));
  const points = (values: readonly number[]) => values.map((value, i) => [i + 1, value] as const);
  await writePng(
    file('loss.png'),
    lineChart({
      title: 'Training loss ‖ε_θ(z, c) − ε‖²',
      x: { label: 'step' },
      y: [{ label: 'mean squared error', log: true }],
      series: [
        { name: 'each step', points: points(losses), opacity: 0.35, markers: false },
        { name: 'mean of 49 steps', points: points(smooth), markers: false },
      ],
    }),
  );
}

const seconds = (performance.now() - started) / 1000;
const report = {
  backend,
  tensorflow,
  steps: trained.step,
  skipped: trained.skipped.length,
  trainingSeconds: trained.seconds,
  lossFirst,
  lossLast,
  classifierAccuracy,
  table,
  real: { fid: realFid, is: realIs },
  samples,
  seconds,
};
writeFileSync(`${file('report.json')}.tmp`, `${JSON.stringify(report, null, 2)}\n`);
renameSync(`${file('report.json')}.tmp`, file('report.json'));
console.log(
  `samples.png, tradeoff.png, loss.png, report.json and checkpoint.safetensors are in ${options.out} (${seconds.toFixed(0)} s)`,
);
