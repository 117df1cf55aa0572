// Guidance in one evaluation a step: the demo's model distilled into a network that takes w with its condition (Meng et al. 2022), and the same
// network trained without a teacher (GFT). Any w at sampling; their curves over w beside the teacher's, and their times. Then in few steps: the
// distilled one is distilled stage by stage into half its steps (Salimans & Ho 2022).

import { join } from 'node:path';
import { eager, fold, type Guided, key, type Model, type Schedule } from '@logsnr/core';
import { subset } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { judgeBy } from '@logsnr/evaluation';
import { packagedClassifier } from '@logsnr/evaluation/node';
import { lineChart, writePng } from '@logsnr/figures';
import { classifierFree, guidedNetwork } from '@logsnr/guidance';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import { bind, classCondition, guidedCondition, guidedParameters, unet } from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { progressLine, withRun } from '@logsnr/runs';
import { compileSampler, ddim, sampleMany } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import {
  adam,
  cosineDecay,
  distillation,
  type GuidedObjective,
  guidanceFree,
  type LossWeight,
  progressive,
  train,
  truncatedSnr,
} from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { batches, classes, config, digits, network, schedule } from '../mnist/digits.js';

const options = new Command('one-evaluation')
  .description(
    'Distils guidance into a network that takes w, and trains one without a teacher: FID and accuracy over w, and time.',
  )
  .option('--training-steps <n>', 'training steps of the teacher, where there is no checkpoint', Number, 900)
  .option('--student-steps <n>', 'training steps of each student', Number, 500)
  .option('--stage-steps <n>', 'training steps of each halving of the sampling steps', Number, 250)
  .option('--from <file>', 'checkpoint of the teacher (default: that of npm run demo)')
  .option(
    '--out <dir>',
    'folder of the runs, the picture and the figures: the same command goes on',
    'out/one-evaluation',
  )
  .option('--steps <T>', 'sampling steps', Number, 32)
  .option('--samples <n>', 'samples at each w', Number, 200)
  .option('--seed <n>', 'seed of everything random', Number, 0)
  .option('--quick', 'a few seconds, to see it run', false)
  .parse()
  .opts<{
    trainingSteps: number;
    studentSteps: number;
    stageSteps: number;
    from?: string;
    out: string;
    steps: number;
    samples: number;
    seed: number;
    quick: boolean;
  }>();
if (options.quick)
  Object.assign(options, {
    trainingSteps: 4,
    studentSteps: 2,
    stageSteps: 2,
    steps: 4,
    samples: 20,
    out: 'out/one-evaluation-quick',
  });
const { steps, samples } = options;
const started = performance.now();
await useBackend();
const runtime = options.quick ? eager : native();
const seed = key(options.seed);
const data = await mnist();
const { weights } = await digits(options, data.train, fold(seed, 0));
const teacher = bind(network, weights, { prediction: 'v' });

const size = 4 * config.base;
const student = unet(config, { condition: guidedCondition<tf.Tensor1D>(classCondition(10, size), size) });
const initial = guidedParameters(student.init(fold(seed, 1)), weights);
const most = 4;

interface Lesson {
  readonly objective: GuidedObjective<tf.Tensor1D>;
  readonly pUncond?: number;
  readonly schedule?: Schedule;
  readonly weight?: LossWeight;
  readonly from?: Parameters;
  readonly steps?: number;
}
/** A student in a run folder of its own. It begins as the teacher, or as `from`. */
async function taught(name: string, { from = initial, steps = options.studentSteps, ...lesson }: Lesson) {
  const line = await progressLine({ label: name });
  const { ema, seconds } = await withRun(
    {
      folder: join(options.out, name),
      settings: { seed: options.seed, name, most, steps },
      shapes: shapesOf(student),
      onStep: line.update,
    },
    (run) =>
      train({
        ...{ network: student, prediction: 'v' as const, conditioning: classes, schedule, pUncond: 0, ...lesson },
        batch: batches(data.train, fold(seed, 2)),
        optimizer: adam({ learningRate: cosineDecay(1e-3, 1e-5), clipNorm: 1, warmup: 20 }),
        ...{ emaDecay: 0.99, key: fold(seed, 3), steps, runtime },
        ...(run.from ? {} : { parameters: from }),
        ...run,
      }),
  );
  line.stop();
  console.log(`${name}: ${steps} steps in ${seconds.toFixed(0)} s`);
  return { ema, model: bind(student, ema, { prediction: 'v' }) };
}
const weights04 = { weights: [0, most] as const };
const distilled = await taught('distilled', { objective: distillation(teacher, weights04) });
const free = await taught('guidance-free', { objective: guidanceFree(weights04), pUncond: 0.1 });

// Half the steps, stage by stage, down to 4; each stage is the next one's teacher. Their grids are no longer those of `grid`.
const few: { name: string; model: Model<Guided<tf.Tensor1D>>; lambdas: readonly number[] }[] = [];
for (
  let [last, points] = [distilled, grid(schedule, steps) as readonly number[]];
  points.length > (options.quick ? 2 : 4);
) {
  const stage = progressive(last.model, { lambdas: points, ...weights04 });
  const name = `progressive-${stage.lambdas.length}`;
  const lesson = { objective: stage, schedule: stage.schedule, weight: truncatedSnr };
  last = await taught(name, { ...lesson, from: last.ema, steps: options.stageSteps });
  points = stage.lambdas;
  few.push({ name, model: last.model, lambdas: points });
}

const classifier = await packagedClassifier('mnist', { runtime });
const judge = await judgeBy(classifier.read, subset(data.test, options.quick ? 100 : data.test.count));
const wanted = Array.from({ length: samples }, (_, i) => i % 10);
const lambdas = grid(schedule, steps);

interface Row {
  name: string;
  w: number;
  evaluations: number;
  fid: number;
  accuracy: number;
  /** The root mean square of the difference from the teacher's samples of the same noise. */
  distance: number;
  /** Milliseconds an image, the fastest batch. */
  milliseconds: number;
}
const rows: Row[] = [];
const full = new Map<number, Float32Array>();
console.log('model               w   evaluations     FID  accuracy  distance  ms an image');
for (const w of [0, 1, 2, 4]) {
  const models: [string, Model<tf.Tensor1D>, readonly number[]][] = [
    ['teacher', classifierFree(teacher, classes, w), lambdas],
    ['distilled', guidedNetwork(distilled.model, w), lambdas],
    ['guidance-free', guidedNetwork(free.model, w), lambdas],
    // In as few steps without being taught to, and taught.
    ...few.flatMap(({ name, model, lambdas }): [string, Model<tf.Tensor1D>, readonly number[]][] => [
      [`distilled, ${lambdas.length}`, guidedNetwork(distilled.model, w), lambdas],
      [name, guidedNetwork(model, w), lambdas],
    ]),
  ];
  for (const [name, model, lambdas] of models) {
    const drawing = compileSampler(runtime, { model, sampler: ddim() });
    let [last, fastest] = [0, Number.POSITIVE_INFINITY];
    const x = sampleMany({
      draw: drawing,
      samples,
      condition: (first, n) => {
        last = performance.now();
        return classes.of(wanted.slice(first, first + n));
      },
      // The first batch has the compiling in it.
      onProgress: (done) => {
        if (done > 100 || samples <= 100)
          fastest = Math.min(fastest, (performance.now() - last) / Math.min(100, samples));
      },
      ...{ lambdas, shape: [28, 28, 1], key: fold(seed, 5) },
    });
    drawing.dispose();
    const images = tf.clipByValue(x, -1, 1) as tf.Tensor4D;
    x.dispose();
    const values = images.dataSync<'float32'>();
    const { fid, accuracy } = await judge.score(images, wanted);
    images.dispose();
    if (name === 'teacher') full.set(w, values);
    const own = full.get(w) as Float32Array;
    const distance = Math.sqrt(
      values.reduce((sum, value, i) => sum + (value - (own[i] as number)) ** 2, 0) / values.length,
    );
    const row = {
      ...{ name, w, distance, milliseconds: fastest },
      evaluations: lambdas.reduce((sum, lambda) => sum + model.cost(lambda).evaluations, 0),
      ...{ fid, accuracy },
    };
    rows.push(row);
    console.log(
      `${name.padEnd(16)} ${String(w).padStart(4)} ${String(row.evaluations).padStart(13)} ${row.fid.toFixed(2).padStart(7)} ${(100 * row.accuracy).toFixed(1).padStart(9)} ${distance.toFixed(4).padStart(9)} ${fastest.toFixed(1).padStart(12)}`,
    );
  }
}
classifier.dispose();
const names = ['teacher', 'distilled', 'guidance-free', ...(few.length > 0 ? [few.at(-1)?.name as string] : [])];
await writePng(
  join(options.out, 'one-evaluation.png'),
  lineChart({
    title: 'Guidance in one evaluation a step',
    subtitle: `${samples} digits at each w, one noise, ${steps} steps of DDIM; students of ${options.studentSteps} steps`,
    x: { label: 'guidance weight w' },
    y: [{ label: 'FID in the features of a digit classifier' }, { label: 'read right, %' }],
    series: names.flatMap((name) => {
      const of = (value: (row: Row) => number) =>
        rows.filter((row) => row.name === name).map((row) => [row.w, value(row)] as const);
      return [
        { name: `FID, ${name}`, points: of(({ fid }) => fid), markers: true },
        { name: `read right, ${name}`, points: of((row) => 100 * row.accuracy), axis: 1 as const, dash: true },
      ];
    }),
  }),
);
await replaceFile(join(options.out, 'report.json'), piecesOf(`${JSON.stringify({ steps, samples, rows }, null, 2)}\n`));
console.log(`${join(options.out, 'one-evaluation.png')} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
