// pnpm bench:guidance: what each method of docs/guidance.md costs a step, counted by the models themselves and measured, on the digits' network
// with weights as they are made. The methods take turns, so that what else the machine does meets all of them.

import { key, type Model } from '@logsnr/core';
import {
  apg,
  autoguidance,
  averagePooling,
  cads,
  cfgCache,
  cfgPlusPlus,
  cfgZeroStar,
  classifierFree,
  classifierGuidance,
  composed,
  dynamicThreshold,
  everyKth,
  feedbackGuidance,
  feedbackSettings,
  frequencyDecoupled,
  guidedNetwork,
  independentCondition,
  interval,
  logits,
  mamboG,
  momentumGuidance,
  perturbedGuidance,
  posteriorSampling,
  rescale,
  seeded,
  seededConditioning,
  slidingMode,
  tcfg,
  thresholdX,
  tilted,
  timeStepGuidance,
  uniformLabels,
} from '@logsnr/guidance';
import { bind, classCondition, classEmbeddings, guidedCondition, onEmbeddings, unet } from '@logsnr/networks';
import { compileSampler, ddim } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { classes, classifier, config, network, schedule } from '../examples/mnist/digits.js';
import { machineFacts } from './machine.js';
import { above } from './options.js';
import { median } from './statistics.js';

const { steps, batch, rounds } = new Command('bench:guidance')
  .description('Counts and measures what every guidance method costs a step; prints the table of docs/guidance.md.')
  .option('--steps <T>', 'sampling steps', above('steps', 2, true), 12)
  .option('--batch <n>', 'samples', above('batch', 1, true), 20)
  .option(
    '--rounds <n>',
    'turns of each method; the first one compiles and is not counted',
    above('rounds', 2, true),
    6,
  )
  .parse()
  .opts<{ steps: number; batch: number; rounds: number }>();

const { backend } = await useBackend({ backend: 'tensorflow' });
const w = 2;
const weights = network.init(key(0));
const predicts = { prediction: 'v' } as const;
const model = bind(network, weights, predicts);
const perturbed = (perturbation: Parameters<typeof unet>[1]) => bind(unet(config, perturbation), weights, predicts);
const size = 4 * config.base;
const student = unet(config, { condition: guidedCondition<tf.Tensor1D>(classCondition(10, size), size) });
const guide = classifier.init(key(1));
const likelihood = logits((z, lambda) => classifier.apply(guide, { z, lambda }));
const lambdas = grid(schedule, steps);
const c = classes.of(Array.from({ length: batch }, (_, i) => i % 10));
const next = classes.of(Array.from({ length: batch }, (_, i) => (i + 1) % 10));
const embeddings = classEmbeddings(weights);
const measurement = averagePooling(4)(tf.zeros([batch, 28, 28, 1]));

/** A method, how its samples are drawn, and the seconds of each turn. */
interface Racer {
  readonly name: string;
  readonly model: Model<never>;
  readonly draw: () => tf.Tensor;
  readonly seconds: number[];
}
const racers: Racer[] = [];
function enter<C>(name: string, guided: Model<C>, condition: C): void {
  const drawing = compileSampler(native(), { model: guided, sampler: ddim() });
  const options = { condition, lambdas, shape: [batch, 28, 28, 1], key: key(2) };
  racers.push({ name, model: guided, draw: () => drawing.sample(options), seconds: [] });
}
const free = (rule?: Parameters<typeof classifierFree>[3]) => classifierFree(model, classes, w, rule);

enter('no guidance', classifierFree(model, classes, 0), c);
enter('`classifierFree`', free(), c);
enter('`classifierFree`, split', free({ evaluation: 'split' }), c);
enter('`interval`, 0.28 < σ ≤ 5.42', classifierFree(model, classes, interval(w, { sigma: [0.28, 5.42] })), c);
enter('`rescale`', free({ rule: rescale(0.7) }), c);
enter('`apg`', free({ rule: apg({ eta: 0, norm: 5, momentum: -0.5 }) }), c);
enter('`cfgZeroStar`', free({ rule: cfgZeroStar() }), c);
enter('`tcfg`', free({ rule: tcfg }), c);
enter('`mamboG`', free({ rule: mamboG(1) }), c);
enter('`frequencyDecoupled`', free({ rule: frequencyDecoupled([2, 0.5]) }), c);
enter('`slidingMode`', free({ rule: slidingMode() }), c);
const feedback = feedbackSettings(lambdas, { pi: 0.999, t0: 0.5, t1: 0.4 });
enter('`feedbackGuidance`', feedbackGuidance(model, classes, feedback), c);
enter('`momentumGuidance`', momentumGuidance(model, 0.5), c);
enter('`thresholdX`, dynamic', thresholdX(free(), dynamicThreshold()), c);
enter('`cfgPlusPlus`', cfgPlusPlus(model, classes, -0.4), c);
enter('`cfgCache`, every third', cfgCache(model, classes, w, everyKth(lambdas, 3)), c);
enter('`autoguidance`, attention I', autoguidance(model, perturbed({ attention: 'identity' }), w), c);
const both = { w: 1, weakWeight: 1 };
enter('`perturbedGuidance`', perturbedGuidance(model, perturbed({ attention: 'identity' }), classes, both), c);
enter('`independentCondition`', independentCondition(model, classes, uniformLabels, w), seeded(c, key(3), batch, [10]));
enter('`timeStepGuidance`', timeStepGuidance(model, classes, 1, w), seeded(c, key(3), batch));
enter(
  '`cads` in `classifierFree`',
  classifierFree(
    cads(bind(onEmbeddings(network), weights, predicts), { scale: 0.5 }),
    seededConditioning(embeddings),
    w,
  ),
  seeded(embeddings.of(c), key(3), batch, [size]),
);
enter('`composed`, two', composed(model, classes, [0, 0]), [c, next]);
enter('`classifierGuidance`', classifierGuidance(model, likelihood, w), c);
enter('`posteriorSampling`', posteriorSampling(model, averagePooling(4), w), { condition: c, measurement });
enter('`tilted`', tilted(model, classes, w), c);
enter('`guidedNetwork`', guidedNetwork(bind(student, student.init(key(4)), predicts), w), c);

for (let round = 0; round < rounds; round++) {
  for (const { draw, seconds } of racers) {
    const start = performance.now();
    const x = draw();
    x.dataSync();
    x.dispose();
    if (round > 0) seconds.push((performance.now() - start) / 1000);
  }
  console.error(`round ${round + 1} of ${rounds}`);
}

const unguided = median(racers[0]?.seconds ?? []);
console.log(
  `${machineFacts().join('; ')}, ${backend}; DDIM, ${steps} steps, ${batch} digits, median of ${rounds - 1} turns.`,
);
console.log(`Unguided: ${((1000 * unguided) / steps).toFixed(1)} ms a step.\n`);
console.log('| method | calls a step | evaluations | backward | time a step, unguided = 1 |');
console.log('| --- | ---: | ---: | ---: | ---: |');
for (const { name, model, seconds } of racers) {
  const mean = (field: 'calls' | 'evaluations' | 'gradients') =>
    lambdas.reduce((sum, lambda) => sum + model.cost(lambda)[field], 0) / steps;
  const [calls, evaluations, gradients] = [mean('calls'), mean('evaluations'), mean('gradients')];
  const number = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(2));
  console.log(
    `| ${name} | ${number(calls)} | ${number(evaluations)} | ${number(gradients)} | ${(median(seconds) / unguided).toFixed(2)} |`,
  );
}
