// What guidance costs and what it gives: the prediction for ∅ made at every step, at some steps and estimated between them, or not at all
// where it says nothing new; and full guidance in fewer steps, at the same cost. The same noise throughout, so every sample can be
// compared with what full guidance makes of it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { eager, fold, key, type Model } from '@logsnr/core';
import { subset } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { judgeBy, searchInterval } from '@logsnr/evaluation';
import { packagedClassifier } from '@logsnr/evaluation/node';
import { lineChart, writePng } from '@logsnr/figures';
import {
  type CfgCacheOptions,
  cfgCache,
  classifierFree,
  everyKth,
  interval,
  observeNull,
  type Weight,
} from '@logsnr/guidance';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import { bind } from '@logsnr/networks';
import { compileSampler, ddim, sample, sampleMany } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { classes, digits, network, schedule } from '../mnist/digits.js';

const options = new Command('fewer-evaluations')
  .description(
    'Guidance with fewer evaluations for ∅: distance to full guidance, FID and accuracy against evaluations spent.',
  )
  .option('--training-steps <n>', 'training steps of the model, where there is no checkpoint', Number, 900)
  .option('--from <file>', 'checkpoint of the model (default: that of npm run demo)')
  .option('--out <dir>', 'folder for the picture and the figures', 'out/fewer-evaluations')
  .option('--w <w>', 'guidance weight', Number, 1)
  .option('--steps <T>', 'sampling steps of full guidance', Number, 32)
  .option('--samples <n>', 'samples of each method', Number, 200)
  .option('--seed <n>', 'seed of everything random', Number, 0)
  .option('--quick', 'a few seconds, to see it run', false)
  .parse()
  .opts<{
    trainingSteps: number;
    from?: string;
    out: string;
    w: number;
    steps: number;
    samples: number;
    seed: number;
    quick: boolean;
  }>();
if (options.quick) Object.assign(options, { trainingSteps: 4, steps: 4, samples: 20 });
const { w, steps, samples } = options;
const started = performance.now();
await useBackend();
mkdirSync(options.out, { recursive: true });
const runtime = options.quick ? eager : native();
const seed = key(options.seed);
const data = await mnist();
const { weights } = await digits(options, data.train, fold(seed, 0));
const model = bind(network, weights, { prediction: 'v' });

// The judge: the classifier that comes with @logsnr/evaluation. FID is the Fréchet distance in its features to the test images.
const classifier = await packagedClassifier('mnist', { runtime });
const judge = await judgeBy(classifier.read, subset(data.test, options.quick ? 100 : data.test.count));
const wanted = Array.from({ length: samples }, (_, i) => i % 10);
const noise = fold(seed, 5);

interface Row {
  family: string;
  name: string;
  evaluations: number;
  /** The root mean square of the difference from full guidance, over samples and pixels in [−1, 1]. */
  distance: number;
  fid: number;
  accuracy: number;
}
const rows: Row[] = [];
let full: Float32Array | undefined;

/** Samples of a guided model on a grid of T points, and what they are worth. */
async function drawn(guided: Model<tf.Tensor1D>, T = steps) {
  const lambdas = grid(schedule, T);
  const drawing = compileSampler(runtime, { model: guided, sampler: ddim() });
  const x = sampleMany({
    draw: drawing,
    samples,
    condition: (first, n) => classes.of(wanted.slice(first, first + n)),
    ...{ lambdas, shape: [28, 28, 1], key: noise },
  });
  drawing.dispose();
  const images = tf.clipByValue(x, -1, 1) as tf.Tensor4D;
  x.dispose();
  const values = images.dataSync<'float32'>();
  const { fid, accuracy } = await judge.score(images, wanted);
  images.dispose();
  const evaluations = lambdas.reduce((sum, lambda) => sum + guided.cost(lambda).evaluations, 0);
  return { values, evaluations, fid, accuracy };
}

async function show(family: string, name: string, guided: Model<tf.Tensor1D>, T = steps): Promise<void> {
  const { values, ...scores } = await drawn(guided, T);
  full ??= values;
  const square = values.reduce((sum, value, i) => sum + (value - ((full as Float32Array)[i] as number)) ** 2, 0);
  const row = { family, name, distance: Math.sqrt(square / values.length), ...scores };
  rows.push(row);
  console.log(line(row));
}
const line = ({ name, evaluations, distance, fid, accuracy }: Row) =>
  `${name.padEnd(46)} ${String(evaluations).padStart(11)} ${distance.toFixed(4).padStart(9)} ${fid.toFixed(2).padStart(7)} ${(100 * accuracy).toFixed(1).padStart(9)}`;

const lambdas = grid(schedule, steps);
const free = (weight: Weight) => classifierFree(model, classes, weight);
const cached = (k: number, cache: CfgCacheOptions, first = 1) =>
  cfgCache(model, classes, w, everyKth(lambdas, k, { first }), cache);

// What ∅ adds along the way, seen on 40 samples of other noise.
const seen = Object.fromEntries(
  (['eps', 'x'] as const).map((of) => {
    const observer = observeNull({ of });
    tf.tidy(() =>
      sample({
        model: classifierFree(model, classes, w, { rule: observer.rule }),
        condition: classes.of(Array.from({ length: 40 }, (_, i) => i % 10)),
        ...{ sampler: ddim(), lambdas, shape: [40, 28, 28, 1], key: fold(seed, 6) },
      }),
    );
    return [of, observer];
  }),
);
const watched = seen.eps?.points() ?? [];
console.log('     λ   cosine of ε_c and ε_∅   ‖ε_c − ε_∅‖/‖ε_∅‖   left by a regression');
for (const { lambda, cosine, apart, error } of watched)
  console.log(
    `${lambda.toFixed(2).padStart(6)} ${cosine.toFixed(5).padStart(23)} ${apart.toFixed(4).padStart(19)} ${error.toFixed(3).padStart(22)}`,
  );

console.log(`\n${'method'.padEnd(46)} evaluations  distance     FID  accuracy`);
await show('full guidance, fewer steps', `classifier-free, ${steps} steps`, free(w));
await show('no guidance', 'no guidance', free(0));
for (const T of (options.quick ? [16] : [28, 24, 21, 19, 16]).map((of) => Math.max(2, Math.round((of * steps) / 32))))
  await show('full guidance, fewer steps', `classifier-free, ${T} steps`, free(w), T);
for (const k of options.quick ? [2] : [2, 3, 4, 8]) {
  await show('difference of x̂ held', `difference of x̂ held, every ${k}.`, cached(k, { of: 'x' }));
  await show('difference of ε̂ held', `difference of ε̂ held (FasterCache), every ${k}.`, cached(k, { of: 'eps' }));
  await show(
    'line through two, of x̂',
    `line through two differences of x̂, every ${k}.`,
    cached(k, { of: 'x', estimate: 'linear' }),
  );
  for (const of of ['eps', 'x'] as const) {
    const estimate = seen[of]?.regression();
    const name = `regression on ${of === 'x' ? 'x̂' : 'ε̂'}`;
    await show(name, `${name}${of === 'eps' ? ' (LinearAG)' : ''}, every ${k}.`, cached(k, { estimate }));
  }
}
for (const threshold of options.quick ? [0.9] : [0.9, 0.95, 0.98, 0.99]) {
  const last = watched.filter(({ cosine }) => cosine < threshold).at(-1)?.lambda;
  if (last === undefined) continue;
  const until = interval(w, { lambda: [Number.NEGATIVE_INFINITY, last] });
  await show('∅ dropped at a cosine', `∅ dropped at a cosine of ${threshold} (Adaptive Guidance)`, free(until));
}
// An interval by search, on FID: edges at every fourth point.
let searched = 0;
const edges = [
  ...lambdas.filter((_, i) => i % Math.ceil(steps / (options.quick ? 2 : 8)) === 0),
  lambdas.at(-1) as number,
];
const { best, tried } = await searchInterval({
  edges: [...new Set(edges)],
  async score(low, high) {
    const { fid } = await drawn(free(interval(w, { lambda: [low, high] })));
    console.error(`interval search ${++searched}: ${low.toFixed(1)} ≤ λ ≤ ${high.toFixed(1)}, FID ${fid.toFixed(2)}`);
    return fid;
  },
});
await show(
  'interval, searched',
  `interval ${best.low.toFixed(1)} ≤ λ ≤ ${best.high.toFixed(1)}, of ${tried.length} tried`,
  free(interval(w, { lambda: [best.low, best.high] })),
);

const families = [...new Set(rows.map(({ family }) => family))].filter(
  (name) => name !== 'no guidance' && rows.some(({ family, distance }) => family === name && distance > 0),
);
await writePng(
  join(options.out, 'fewer-evaluations.png'),
  lineChart({
    title: 'How far from full guidance, against what it costs',
    subtitle: `${samples} digits, one noise, w = ${w}, ${steps} steps of DDIM; no guidance: ${steps} evaluations, ${rows.find(({ family }) => family === 'no guidance')?.distance.toFixed(3)}`,
    x: { label: 'evaluations of the network a sample' },
    y: [{ label: 'root mean square difference from full guidance' }],
    series: families.map((name) => ({
      name,
      points: rows
        .filter(({ family, distance }) => family === name && distance > 0)
        .sort((a, b) => a.evaluations - b.evaluations)
        .map(({ evaluations, distance }) => [evaluations, distance] as const),
      markers: true,
    })),
  }),
);
await replaceFile(
  join(options.out, 'report.json'),
  piecesOf(`${JSON.stringify({ w, steps, samples, watched, rows, tried }, null, 2)}\n`),
);
classifier.dispose();
console.log(`${join(options.out, 'fewer-evaluations.png')} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
