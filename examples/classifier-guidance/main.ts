// Classifier guidance (ADM-G: Dhariwal & Nichol 2021) beside classifier-free guidance on MNIST: one diffusion model, the same
// noise, FID and Inception Score by an independent judge. Then the two drawbacks of the classifier: what it costs, and that
// its gradients please itself more than the judge.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fold, key, type Model, tensorsOf, withCondition } from '@logsnr/core';
import { batch } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { guidanceSweep, judgeOf, type SweepRow, trainJudge } from '@logsnr/evaluation';
import { captionedGrid, imageGrid, lineChart, type RgbImage, writePng } from '@logsnr/figures';
import { classifierFree, classifierGuidance, logits } from '@logsnr/guidance';
import { accuracy } from '@logsnr/metrics';
import { bind } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { progressLine } from '@logsnr/runs';
import { ancestral, compileSampler, sampleMany } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { classes, classifier, digits, network, schedule, trainedClassifier } from '../mnist/digits.js';
import { readOptions } from './options.js';

const options = readOptions();
const started = performance.now();
await useBackend();
const file = (name: string) => join(options.out, name);
const seed = key(options.seed);
const data = await mnist();
const line = await progressLine({ label: 'judge' });
const judging = { data: data.train, key: fold(seed, 0), steps: options.judgeSteps };
const judge = await judgeOf(
  (await trainJudge({ ...judging, onStep: line.update, runtime: native() })).parameters,
  data.test,
);
line.stop();
console.log(`judge: reads ${(100 * judge.accuracy).toFixed(2)} % of the test images right`);

const diffusion = await digits(options, data.train, fold(seed, 1));
const model = bind(network, diffusion.weights, { prediction: 'v' });
const unconditional = withCondition(model, (c: tf.Tensor1D) => classes.nullCondition(c));

// The first drawback: a second network, trained on data noised as for the diffusion model.
const classifierStarted = performance.now();
const trained = await trainedClassifier(data.train, fold(seed, 2), fold(seed, 3), options.classifierSteps);
const { parameters: guide, losses } = trained;
const classifierSeconds = (performance.now() - classifierStarted) / 1000;
const size = (parameters: Parameters) => tensorsOf(parameters).reduce((sum, { size }) => sum + size, 0);
const classify = (z: tf.Tensor, lambda: tf.Tensor1D) => classifier.apply(guide, { z, lambda });
/** The guiding classifier's own probabilities of images, which it reads at a λ near clean data. */
const guideReads = (images: tf.Tensor) => {
  const data = tf.tidy(() => tf.softmax(classify(images, tf.fill([images.shape[0] as number], 12)))).dataSync();
  return { data: [...data], rows: images.shape[0] as number, columns: 10 };
};
const clean = batch(data.test, [...Array(1000).keys()]);
const guideAccuracy = accuracy(guideReads(clean.images), [...clean.labels.dataSync()]);
console.log(
  `guiding classifier: ${losses.length} steps in ${classifierSeconds.toFixed(0)} s, ${size(guide)} parameters beside the ${size(diffusion.weights)} of the diffusion model; reads ${(100 * guideAccuracy).toFixed(1)} % of clean images right`,
);

// Both kinds of guidance at several weights, from the same noise; sample i is of the digit i mod 10.
const wanted = Array.from({ length: options.samples }, (_, i) => i % 10);
const lambdas = grid(schedule, options.steps);
const likelihood = logits(classify);
const arms: { name: string; weights: number[]; guided: (w: number) => Model<tf.Tensor1D> }[] = [
  { name: 'classifier-free', weights: [0, 0.25, 0.5, 1, 2], guided: (w) => classifierFree(model, classes, w) },
  { name: 'ADM-G', weights: [0.5, 1, 2, 4, 8], guided: (w) => classifierGuidance(model, likelihood, w) },
  {
    name: 'ADM-G, unconditional',
    weights: [1, 2, 4, 8],
    guided: (w) => classifierGuidance(unconditional, likelihood, w),
  },
];
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const rows: (Omit<SweepRow, 'accuracy'> & { arm: string; read: number; confidence: number })[] = [];
const format = (value: number, digits: number, width = 9) => value.toFixed(digits).padStart(width);
console.log('arm                        w       FID        IS  read right  the guide is sure   seconds');
for (const { name, weights, guided } of arms)
  await guidanceSweep({
    weights: options.quick ? weights.slice(0, 2) : weights,
    judge,
    labels: wanted,
    shown: 20,
    draw(w, onProgress) {
      const drawing = compileSampler(native(), { model: guided(w), sampler: ancestral() });
      const condition = (first: number, n: number) => classes.of(wanted.slice(first, first + n));
      const of = { samples: options.samples, lambdas, shape: [28, 28, 1], key: fold(seed, 4) };
      const drawn = sampleMany({ draw: drawing, condition, onProgress, ...of });
      drawing.dispose();
      return drawn;
    },
    onRow({ accuracy, ...row }, images) {
      const own = guideReads(images);
      const confidence = 100 * mean(wanted.map((digit, i) => own.data[10 * i + digit] as number));
      const [read, { w, fid, is, seconds }] = [100 * accuracy, row];
      rows.push({ arm: name, ...row, read, confidence });
      console.log(
        `${name.padEnd(21)} ${format(w, 2, 6)} ${format(fid, 3)} ${format(is, 3)}  ${format(read, 1)} %  ${format(confidence, 1, 15)} % ${format(seconds, 1)}`,
      );
    },
  });

// At matched FID: the guided pair of the two arms whose FIDs are nearest.
const [free, adm] = ['classifier-free', 'ADM-G'].map((arm) => rows.filter((row) => row.arm === arm && row.w > 0));
const pairs = (free ?? []).flatMap((a) => (adm ?? []).map((b) => ({ a, b, gap: Math.abs(Math.log(a.fid / b.fid)) })));
const matched = pairs.reduce((best, pair) => (pair.gap < best.gap ? pair : best));
const costs = [classifierFree(model, classes, 1), classifierGuidance(model, likelihood, 1)].map((m) => m.cost(0));
console.log('at matched FID:');
for (const [i, row] of [matched.a, matched.b].entries())
  console.log(
    `  ${row.arm}, w = ${row.w}: FID ${row.fid.toFixed(2)}, IS ${row.is.toFixed(3)}, ${row.read.toFixed(1)} % read right; ${JSON.stringify(costs[i])}`,
  );

// The second drawback: steps along the same gradients change what the guide reads, and little of what the judge does.
const target = tf.tidy(() => tf.cast(tf.mod(tf.add(clean.labels, 1), 10), 'int32')) as tf.Tensor1D;
const level = tf.fill([1000], 12) as tf.Tensor1D;
const truth = [...target.dataSync()];
const attacks: { reach: number; guide: number; judge: number; picture: RgbImage }[] = [];
for (const reach of options.quick ? [0, 0.6] : [0, 0.1, 0.2, 0.4, 0.6, 0.8]) {
  const attacked = tf.tidy(() => {
    const slope = tf.grad((at: tf.Tensor) => tf.sum(likelihood(at, level, target)));
    let x: tf.Tensor = clean.images;
    for (let i = 0; i < (reach > 0 ? 10 : 0); i++) {
      const moved = tf.add(x, tf.mul(tf.sign(slope(x)), reach / 4));
      const near = tf.add(clean.images, tf.clipByValue(tf.sub(moved, clean.images), -reach, reach));
      x = tf.clipByValue(near, -1, 1);
    }
    return tf.keep(tf.clone(x));
  }) as tf.Tensor4D;
  attacks.push({
    reach,
    guide: 100 * accuracy(guideReads(attacked), truth),
    judge: 100 * accuracy((await judge.extract(attacked)).probabilities, truth),
    picture: imageGrid(tf.slice(attacked, 0, 20), { columns: 20 }),
  });
  attacked.dispose();
}
console.log('pixels moved by   the guide reads digit + 1   the judge reads digit + 1');
for (const { reach, guide, judge } of attacks)
  console.log(`${format(reach, 2, 15)}   ${format(guide, 1, 23)} %   ${format(judge, 1, 23)} %`);

const points = (arm: string, x: 'w' | 'fid', y: 'is' | 'confidence' | 'read') =>
  rows.filter((row) => row.arm === arm).map((row) => [row[x], row[y]] as const);
await writePng(
  file('fid-is.png'),
  lineChart({
    title: 'Classifier guidance beside classifier-free guidance',
    subtitle: `${options.samples} samples at each w from the same noise; FID and IS in the features of an independent digit classifier`,
    x: { label: 'FID (lower is better)' },
    y: [{ label: 'Inception Score (higher is better)' }],
    series: arms.map(({ name }) => ({ name, points: points(name, 'fid', 'is'), markers: true })),
  }),
);
await writePng(
  file('confidence.png'),
  lineChart({
    title: 'The guiding classifier is pleased before the judge is',
    subtitle: 'The unconditional model guided by the classifier alone, so all that is known of the digit comes from it',
    x: { label: 'guidance weight w' },
    y: [{ label: '% of samples', min: 0, max: 100 }],
    series: [
      { name: 'mean confidence of the guide', points: points('ADM-G, unconditional', 'w', 'confidence') },
      { name: 'read right by the judge', points: points('ADM-G, unconditional', 'w', 'read') },
    ],
  }),
);
await writePng(
  file('attack.png'),
  lineChart({
    title: 'Its gradients as an attack: test images led towards digit + 1',
    subtitle: 'Share of 1,000 test images read as the wrong digit that the guiding classifier was asked for',
    x: { label: 'largest change of a pixel (of a range of 2)' },
    y: [{ label: '% read as digit + 1', min: 0, max: 100 }],
    series: [
      { name: 'by the guiding classifier', points: attacks.map(({ reach, guide }) => [reach, guide]) },
      { name: 'by the independent judge', points: attacks.map(({ reach, judge }) => [reach, judge]) },
    ],
  }),
);
await writePng(
  file('samples.png'),
  captionedGrid({
    title: 'One noise: classifier-free guidance, ADM-G, and what its gradients do to test images',
    rows: [
      ...rows
        .filter(({ arm, w }) => (arm === 'classifier-free' ? [0, 1, 2] : [1, 4, 8]).includes(w))
        .map(({ arm, w, read, shown }) => ({
          caption: `${arm}, w = ${w}\n${read.toFixed(0)} % read right`,
          images: [imageGrid(shown, { columns: 20 })],
        })),
      ...attacks
        .filter(({ reach }) => reach === 0 || reach === 0.6)
        .map(({ reach, guide, judge, picture }) => ({
          caption: `test images, moved by ${reach}\ndigit + 1: guide ${guide.toFixed(0)} %, judge ${judge.toFixed(0)} %`,
          images: [picture],
        })),
    ],
    scale: 2,
  }),
);
const seconds = (performance.now() - started) / 1000;
const report = {
  table: rows.map(({ shown, ...row }) => row),
  matched: { classifierFree: matched.a.w, admG: matched.b.w },
  costs,
  classifier: { steps: losses.length, seconds: classifierSeconds, parameters: size(guide), accuracy: guideAccuracy },
  diffusion: { parameters: size(diffusion.weights), seconds: diffusion.seconds },
  attacks: attacks.map(({ picture, ...attack }) => attack),
  seconds,
};
writeFileSync(file('report.json'), `${JSON.stringify(report, null, 2)}\n`);
console.log(
  `fid-is.png, confidence.png, attack.png, samples.png and report.json are in ${options.out} (${seconds.toFixed(0)} s)`,
);
