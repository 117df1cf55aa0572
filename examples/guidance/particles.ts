// Guidance with Feynman–Kac correctors on the digits, beside guidance alone at the same cost: as many samples, steps and evaluations of the
// network, by the same sampler. Accuracy, FID and how different the samples are, over w.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { eager, fold, key } from '@logsnr/core';
import { subset } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { judgeBy } from '@logsnr/evaluation';
import { packagedClassifier } from '@logsnr/evaluation/node';
import { captionedGrid, imageGrid, lineChart, writePng } from '@logsnr/figures';
import { tilted } from '@logsnr/guidance';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import { accuracy, frechetDistance, gaussianStatistics, manifold, vendiScore } from '@logsnr/metrics';
import { bind } from '@logsnr/networks';
import { compileSampler, dpmSolverPP2M, feynmanKac, sampleMany } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { classes, digits, network, schedule } from '../mnist/digits.js';

const options = new Command('particles')
  .description(
    'Feynman–Kac correctors against guidance alone at equal cost on the digits: accuracy, FID and diversity.',
  )
  .option('--training-steps <n>', 'training steps of the model, where there is no checkpoint', Number, 900)
  .option('--from <file>', 'checkpoint of the model (default: that of npm run demo)')
  .option('--out <dir>', 'folder for the pictures and the figures', 'out/particles')
  .option('--particles <n>', 'particles of each digit', Number, 50)
  .option('--steps <T>', 'sampling steps', Number, 64)
  .option('--seed <n>', 'seed of everything random', Number, 0)
  .option('--quick', 'a few seconds, to see it run', false)
  .parse()
  .opts<{
    trainingSteps: number;
    from?: string;
    out: string;
    particles: number;
    steps: number;
    seed: number;
    quick: boolean;
  }>();
if (options.quick) Object.assign(options, { trainingSteps: 4, particles: 4, steps: 4 });
const { particles, steps } = options;
const started = performance.now();
await useBackend();
mkdirSync(options.out, { recursive: true });
const runtime = options.quick ? eager : native();
const seed = key(options.seed);
const data = await mnist();
const { weights } = await digits(options, data.train, fold(seed, 0));
const model = bind(network, weights, { prediction: 'v' });

const samples = 10 * particles;
const wanted = Array.from({ length: samples }, (_, i) => Math.floor(i / particles));
const lambdas = grid(schedule, steps);
const sampler = dpmSolverPP2M({ eta: 1 });
const run = { lambdas, shape: [28, 28, 1], key: fold(seed, 5) };
const conditions = (first: number, n: number) => classes.of(wanted.slice(first, first + n));

// The judge: the classifier that comes with @logsnr/evaluation, and as many real digits, of each alike.
const classifier = await packagedClassifier('mnist', { runtime });
const judge = await judgeBy(classifier.read, subset(data.test, options.quick ? 100 : data.test.count));
const seenOf = new Map<number, number>();
const chosen = Array.from(data.test.labels, (label, i) => {
  const seen = seenOf.get(label) ?? 0;
  seenOf.set(label, seen + 1);
  return seen < particles ? i : -1;
}).filter((i) => i >= 0);
const real = (await judge.extract(subset(data.test, chosen))).features;

interface Row {
  name: string;
  w: number;
  evaluations: number;
  accuracy: number;
  fid: number;
  recall: number;
  precision: number;
  /** The Vendi score of a digit's samples, the mean of the ten. */
  vendi: number;
  /** How often a population was resampled, the mean of the ten, and the least effective share that one had. */
  resampled: number;
  effective: number;
}
const rows: Row[] = [];
const pictures: { caption: string; images: ReturnType<typeof imageGrid>[] }[] = [];
console.log('                     w  evaluations  accuracy     FID  recall  precision  Vendi  resampled  effective');
// At w = 0 all weights are equal, and correctors change nothing.
for (const w of [0, 0.5, 1, 2, 4])
  for (const name of w === 0 ? ['guidance'] : ['guidance', 'with correctors']) {
    const guided = tilted(model, classes, w);
    let [resampled, effective] = [0, 1];
    const draw = {
      guidance() {
        const drawing = compileSampler(runtime, { model: guided, sampler });
        const x = sampleMany({ draw: drawing, samples, condition: conditions, ...run });
        drawing.dispose();
        return x;
      },
      'with correctors'() {
        const drawing = feynmanKac({ model: guided, sampler, runtime });
        const x = drawing.sample({
          ...{ particles, populations: 10, condition: conditions, ...run },
          onStep(step) {
            resampled += step.resampled.filter(Boolean).length / 10;
            effective = Math.min(effective, ...step.effective.map((size) => size / particles));
          },
        });
        drawing.dispose();
        return x;
      },
    }[name as 'guidance' | 'with correctors'];
    const x = draw();
    const images = tf.tidy(() => tf.clipByValue(x, -1, 1) as tf.Tensor4D);
    x.dispose();
    const { features, probabilities } = await judge.extract(images);
    const { recall, precision } = manifold(real, features);
    const row: Row = {
      ...{ name, w, recall, precision, resampled, effective },
      evaluations: lambdas.reduce((sum, lambda) => sum + guided.cost(lambda).evaluations, 0),
      accuracy: accuracy(probabilities, wanted),
      fid: frechetDistance(gaussianStatistics(features), judge.reference),
      vendi: vendiScore(features, { labels: wanted }),
    };
    rows.push(row);
    console.log(
      `${name.padEnd(16)} ${String(w).padStart(5)} ${String(row.evaluations).padStart(12)} ${(100 * row.accuracy).toFixed(1).padStart(9)} ${row.fid.toFixed(2).padStart(7)} ${recall.toFixed(3).padStart(7)} ${precision.toFixed(3).padStart(10)} ${row.vendi.toFixed(2).padStart(6)} ${resampled.toFixed(1).padStart(10)} ${effective.toFixed(2).padStart(10)}`,
    );
    if (w === 2) {
      const shown = tf.tidy(() =>
        tf.gather(
          images,
          Array.from({ length: 20 }, (_, i) => (i >> 1) * particles + (i % 2)),
        ),
      );
      pictures.push({ caption: `${name}, w = ${w}`, images: [imageGrid(shown, { columns: 20 })] });
      shown.dispose();
    }
    images.dispose();
  }
classifier.dispose();

const of = (name: string, value: (row: Row) => number) =>
  rows.filter((row) => row.name === name).map((row) => [row.w, value(row)] as const);
const names = ['guidance', 'with correctors'];
await writePng(
  join(options.out, 'particles.png'),
  lineChart({
    title: 'Feynman–Kac correctors and guidance alone at equal cost',
    subtitle: `${particles} particles of each digit, ${steps} steps of dpmSolverPP2M({ eta: 1 })`,
    x: { label: 'guidance weight w' },
    y: [{ label: 'FID in the features of a digit classifier' }, { label: 'recall' }],
    series: names.flatMap((name) => [
      { name: `FID, ${name}`, points: of(name, ({ fid }) => fid), markers: true },
      { name: `recall, ${name}`, points: of(name, ({ recall }) => recall), axis: 1 as const, dash: true },
    ]),
  }),
);
await writePng(
  join(options.out, 'particles-digits.png'),
  captionedGrid({ title: 'Two samples of each digit', rows: pictures, scale: 2, fontSize: 16, gap: 6 }),
);
await replaceFile(
  join(options.out, 'report.json'),
  piecesOf(`${JSON.stringify({ steps, particles, rows }, null, 2)}\n`),
);
console.log(`${join(options.out, 'particles.png')} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
