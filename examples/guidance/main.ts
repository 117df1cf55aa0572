// Every guidance method on one model with the same noise: a labelled grid of digits, and what each method costs.

import { join } from 'node:path';
import { fold, key, type Model } from '@logsnr/core';
import { batch } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { captionedGrid, imageGrid, writePng } from '@logsnr/figures';
import {
  apg,
  autoguidance,
  averagePooling,
  cads,
  cfgPlusPlus,
  cfgZeroStar,
  classifierFree,
  classifierGuidance,
  composed,
  dynamicThreshold,
  feedbackGuidance,
  feedbackSettings,
  frequencyDecoupled,
  independentCondition,
  inpainting,
  interval,
  logits,
  mamboG,
  momentumGuidance,
  negative,
  perturbedGuidance,
  posteriorSampling,
  rescale,
  rising,
  seeded,
  seededConditioning,
  slidingMode,
  tcfg,
  thresholdX,
  timeStepGuidance,
  uniformLabels,
  zeroInit,
} from '@logsnr/guidance';
import { bind, classEmbeddings, onEmbeddings, unet } from '@logsnr/networks';
import { progressLine } from '@logsnr/runs';
import { ddim, sample } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import { train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import {
  batches,
  classes,
  classifier,
  config,
  digits,
  network,
  optimizer,
  schedule,
  trainedClassifier,
} from '../mnist/digits.js';

const options = new Command('guidance')
  .description('Every guidance method on one MNIST model, same noise, as a labelled grid with the cost of each.')
  .option('--training-steps <n>', 'training steps of the model, where there is no checkpoint', Number, 900)
  .option(
    '--helper-steps <n>',
    'training steps of the weaker model and of the noise-aware classifier each',
    Number,
    700,
  )
  .option('--from <file>', 'checkpoint of the model (default: that of npm run demo)')
  .option('--out <dir>', 'folder for guidance-digits.png', 'out/guidance')
  .option('--w <w>', 'guidance weight', Number, 2)
  .option('--steps <T>', 'sampling steps', Number, 24)
  .option('--seed <n>', 'seed of everything random', Number, 0)
  .option('--only <text>', 'only the methods with this in their name', '')
  .option('--quick', 'a few seconds of training and 2 steps, to see it run', false)
  .parse()
  .opts<{
    trainingSteps: number;
    helperSteps: number;
    only: string;
    from?: string;
    out: string;
    w: number;
    steps: number;
    seed: number;
    quick: boolean;
  }>();
if (options.quick) Object.assign(options, { trainingSteps: 12, helperSteps: 12, steps: 2 });
const started = performance.now();
await useBackend();
const seed = key(options.seed);
const { w } = options;
const data = await mnist();

const { weights } = await digits(options, data.train, fold(seed, 0));
const model = bind(network, weights, { prediction: 'v' });

// A smaller network, briefly trained, to be guided away from; and a noise-aware classifier.
const small = unet({ ...config, base: 8 });
const line = await progressLine({ label: 'weaker model' });
const weaker = await train({
  network: small,
  prediction: 'v',
  conditioning: classes,
  schedule,
  batch: batches(data.train, fold(seed, 1)),
  optimizer,
  emaDecay: 0.99,
  key: fold(seed, 2),
  steps: options.helperSteps,
  onStep: line.update,
  runtime: native(),
});
line.stop();
const weak = bind(small, weaker.ema, { prediction: 'v' });
const guide = await trainedClassifier(data.train, fold(seed, 3), fold(seed, 4), options.helperSteps);
const likelihood = logits((z, lambda) => classifier.apply(guide.parameters, { z, lambda }));

const count = 20;
const wanted = Array.from({ length: count }, (_, i) => i % 10);
const c = classes.of(wanted);
const next = classes.of(wanted.map((digit) => (digit + 1) % 10));
const shape = [count, 28, 28, 1];
const lambdas = grid(schedule, options.steps);
const perturbed = (perturbation: Parameters<typeof unet>[1]) =>
  bind(unet(config, perturbation), weights, { prediction: 'v' });
const embeddings = classEmbeddings(weights);
const onVectors = bind(onEmbeddings(network), weights, { prediction: 'v' });
const real = batch(
  data.test,
  wanted.map((digit) => data.test.labels.indexOf(digit)),
).images;
const upperHalf = tf.tensor(
  Array.from({ length: 28 * 28 }, (_, i) => (i < 14 * 28 ? 1 : 0)),
  [28, 28, 1],
);
// Where z is nearly noise a gradient says little, and its errors are magnified by 1/α in x̂.
const fromHere = { lambda: [-5, 12] } as const;
const measured = interval(6, fromHere);
const noise = fold(seed, 5);

const rows: { caption: string; images: ReturnType<typeof imageGrid>[] }[] = [];
console.log('method                                     calls  evaluations  batch  backward');
/** Samples with one method from the same noise, with what it costs over all steps. */
function show<C>(name: string, guided: Model<C>, condition: C): void {
  if (!name.includes(options.only)) return;
  const costs = lambdas.map((lambda) => guided.cost(lambda));
  const total = (of: (cost: (typeof costs)[number]) => number) => costs.reduce((sum, cost) => sum + of(cost), 0);
  const [calls, evaluations] = [total((cost) => cost.calls), total((cost) => cost.evaluations)];
  const largest = Math.max(...costs.map((cost) => cost.batch));
  const backward = total((cost) => cost.gradients);
  console.log(
    `${name.padEnd(42)} ${String(calls).padStart(5)} ${String(evaluations).padStart(12)} ${String(largest).padStart(6)} ${String(backward).padStart(9)}`,
  );
  tf.tidy(() => {
    const x = sample({ model: guided, condition, sampler: ddim(), lambdas, shape, key: noise });
    rows.push({
      caption: `${name}\n${calls} calls`,
      images: [imageGrid(tf.clipByValue(x, -1, 1) as tf.Tensor4D, { columns: count })],
    });
  });
}
const free = (rule?: Parameters<typeof classifierFree>[3], weight: Parameters<typeof classifierFree>[2] = w) =>
  classifierFree(model, classes, weight, rule);

show('no guidance', free({}, 0), c);
show(`classifier-free, w = ${w}`, free(), c);
show('interval, 0.28 ≤ σ ≤ 5.42', free({}, interval(w, { sigma: [0.28, 5.42] })), c);
show('rising, cosine', free({}, rising(w, 'cosine')), c);
show('rescale, φ = 0.7', free({ rule: rescale(0.7) }), c);
show('APG, η = 0', free({ rule: apg({ eta: 0, norm: 5 }) }), c);
show('APG with momentum −0.5', free({ rule: apg({ eta: 0, norm: 5, momentum: -0.5 }) }), c);
show('CFG-Zero*, zero-init', zeroInit(free({ rule: cfgZeroStar() }), -11.9), c);
show('TCFG', free({ rule: tcfg }), c);
show('MAMBO-G, α = 1', free({ rule: mamboG(1) }), c);
show('frequency-decoupled, gains 2 and 1/2', free({ rule: frequencyDecoupled([2, 0.5]) }), c);
show('sliding mode, K = 0.2', free({ rule: slidingMode() }), c);
const feedback = feedbackSettings(
  lambdas,
  options.quick ? { pi: 0.9, t0: 0, t1: 0 } : { pi: 0.999, t0: 0.556, t1: 0.429 },
);
show('feedback, π = 0.999', feedbackGuidance(model, classes, feedback), c);
show('momentum, w = 0.5', momentumGuidance(free({}, 0), 0.5), c);
show('momentum around classifier-free', momentumGuidance(free(), 0.5), c);
show('dynamic thresholding', thresholdX(free(), dynamicThreshold()), c);
show('CFG++, w = −0.4', cfgPlusPlus(model, classes, -0.4), c);
show('autoguidance', autoguidance(model, weak, w), c);
show('perturbed attention', autoguidance(model, perturbed({ attention: 'identity' }), w), c);
show(
  'perturbed attention with classifier-free',
  perturbedGuidance(model, perturbed({ attention: 'identity' }), classes, { w: w / 2, weakWeight: w / 2 }),
  c,
);
show(
  'smoothed energy, blur ∞',
  autoguidance(model, perturbed({ attention: { blur: Number.POSITIVE_INFINITY } }), w),
  c,
);
show('skip-layer, middle.block.0', autoguidance(model, perturbed({ skip: ['middle.block.0'] }), w), c);
show(
  'independent condition',
  independentCondition(model, classes, uniformLabels, w),
  seeded(c, fold(seed, 6), count, [10]),
);
show('time-step guidance, 1 nat', timeStepGuidance(model, classes, 1, w), seeded(c, fold(seed, 7), count));
show(
  'CADS under classifier-free',
  classifierFree(cads(onVectors, { scale: 0.5 }), seededConditioning(embeddings), w),
  seeded(embeddings.of(c), fold(seed, 8), count, [4 * config.base]),
);
show('negative: away from digit + 1', negative(model, classes, w), { condition: c, negative: next });
show('composed: digit and digit + 1', composed(model, classes, [0, 0]), [c, next]);
show('classifier guidance', classifierGuidance(model, likelihood, interval(w, fromHere)), c);
show(
  'both: classifier on classifier-free',
  classifierGuidance(free({}, w / 2), likelihood, interval(w / 2, fromHere)),
  c,
);
show(
  'posterior sampling: upper half is given',
  posteriorSampling(model, inpainting(upperHalf), measured, { normalized: true }),
  {
    condition: c,
    measurement: tf.mul(real, upperHalf),
  },
);
show(
  'posterior sampling: 7 × 7 pixels are given',
  posteriorSampling(model, averagePooling(4), measured, { normalized: true }),
  {
    condition: c,
    measurement: averagePooling(4)(real),
  },
);
rows.push({ caption: 'the digits that were measured', images: [imageGrid(real, { columns: count })] });

const file = join(options.out, 'guidance-digits.png');
await writePng(
  file,
  captionedGrid({
    title: `One model, one noise, every method (DDIM, ${options.steps} steps)`,
    rows,
    scale: 2,
    fontSize: 16,
    gap: 6,
  }),
);
console.log(`${file} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
