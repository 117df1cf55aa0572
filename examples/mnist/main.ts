// The main job: trains a class-conditional diffusion model on MNIST with classifier-free guidance (Ho & Salimans 2022),
// samples the ten digits at several guidance weights from the same noise, and measures what guidance does.

import { join } from 'node:path';
import { eager, fold, key } from '@logsnr/core';
import { subset } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { guidanceSweep, judgeOf, sweepText, trainJudge } from '@logsnr/evaluation';
import { sweepChart, sweepPicture } from '@logsnr/evaluation/node';
import { lossChart, writePng } from '@logsnr/figures';
import { classifierFree } from '@logsnr/guidance';
import { piecesOf, replaceFile, say } from '@logsnr/io/node';
import { bind } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { progressLine, saveCheckpoint, withRun } from '@logsnr/runs';
import { ancestral, compileSampler, sampleMany } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import { train } from '@logsnr/training';
import { batches, classes, config, network, optimizer, schedule, weightsIn } from './digits.js';
import { glimpseOf } from './glimpse.js';
import { readOptions } from './options.js';

// Settings: all come from the command line, which options.ts describes.
const { seed, fresh, precision, compile, progress: mode, ...options } = readOptions();
const started = performance.now();
const { backend, tensorflow } = await useBackend();
const samples = options.samples ?? (backend === 'tensorflow' ? 500 : 100);
const runtime = compile ? native({ precision }) : eager;
const [k, data] = [key(seed), await mnist()];
const file = (name: string) => join(options.out, name);
const initial = options.from && (await weightsIn(options.from)).weights;

// Training, Algorithm 1: the network predicts v, the loss is on ε.
const noise = fold(k, 4);
let line = await progressLine({ mode });
const trained = await withRun(
  {
    folder: options.out,
    fresh,
    // Folders from before there was another batch than 64 do not name it.
    settings: {
      ...{ seed, precision, compile, network: config, from: options.from ?? null },
      ...(options.batch !== 64 && { batch: options.batch }),
    },
    shapes: shapesOf(network),
    save: { seconds: 30 },
    samples: { every: 250, draw: glimpseOf(runtime, noise) },
    onStep: line.update,
  },
  async (run) =>
    train({
      network,
      prediction: 'v',
      conditioning: classes,
      schedule,
      batch: batches(data.train, fold(k, 2), options.batch),
      pUncond: 0.1,
      optimizer,
      emaDecay: 0.995,
      key: fold(k, 3),
      steps: options.trainingSteps,
      ...(options.minutes ? { minutes: options.minutes } : {}),
      ...(initial && !run.from ? { parameters: initial } : {}),
      runtime,
      ...run,
    }),
);
line.stop();
await saveCheckpoint(file('checkpoint.safetensors'), { ...trained, metadata: { example: 'mnist' } });
const { step: steps, skipped, seconds: trainingSeconds } = trained;
const losses = trained.losses.filter(Number.isFinite); // a skipped step's may not be
const [lossFirst = Number.NaN, last] = [losses[0], losses.slice(-100)];
const lossLast = last.reduce((sum, loss) => sum + loss / last.length, 0);
console.log(
  `trained ${steps} steps of ${options.batch} images in ${trainingSeconds.toFixed(0)} s: loss ${lossFirst.toFixed(3)} → ${lossLast.toFixed(4)}`,
);

// A digit classifier judges the samples. It computes in float32, whatever the diffusion model does.
line = await progressLine({ label: 'classifier', mode });
const classifier = await withRun(
  { folder: file('classifier'), fresh, settings: { seed }, onStep: line.update },
  (run) =>
    trainJudge({ data: data.train, key: k, steps: options.judgeSteps, runtime: compile ? native() : eager, ...run }),
);
line.stop();
const judge = await judgeOf(classifier.parameters, data.test);
console.log(`digit classifier: reads ${(100 * judge.accuracy).toFixed(2)} % of the test images right`);

// Sampling, Algorithm 2: the same noise at every w; sample i is of the digit i mod 10.
const digits = Array.from({ length: samples }, (_, i) => i % 10);
const table = await guidanceSweep({
  weights: options.w,
  judge,
  labels: digits,
  onProgress({ w, fraction, secondsLeft }) {
    say(`sampling ${(100 * fraction).toFixed(0)} % | w = ${w} | ${secondsLeft.toFixed(0)} s left`);
  },
  draw(w, onProgress) {
    const model = classifierFree(bind(network, trained.ema, { prediction: 'v' }), classes, w);
    const drawing = compileSampler(runtime, { model, sampler: ancestral() });
    const condition = (first: number, n: number) => classes.of(digits.slice(first, first + n));
    const of = { lambdas: grid(schedule, options.steps), shape: [28, 28, 1], key: noise };
    const images = sampleMany({ draw: drawing, samples, condition, onProgress, ...of });
    drawing.dispose();
    return images;
  },
});
// As many real images, for comparison: what these figures would be for perfect samples.
const originals = subset(data.train, samples);
const real = { ...(await judge.score(originals, originals.labels)), samples };
console.log(sweepText(table, real));
const subtitle = `${samples} samples at each w, in the features of a digit classifier`;
await writePng(file('tradeoff.png'), sweepChart(table, { subtitle, real }));
await writePng(file('samples.png'), sweepPicture(table));
await writePng(file('loss.png'), lossChart(trained.losses, { title: 'Training loss ‖ε_θ(z, c) − ε‖²' }));
const report = {
  ...{ backend, tensorflow, steps, skipped: skipped.length, trainingSeconds, lossFirst, lossLast },
  classifierAccuracy: judge.accuracy,
  table: table.map(({ w, fid, is, accuracy }) => ({ w, fid, is, accuracy })),
  ...{ real: { fid: real.fid, is: real.is }, samples, seconds: (performance.now() - started) / 1000 },
};
await replaceFile(file('report.json'), piecesOf(`${JSON.stringify(report, null, 2)}\n`));
