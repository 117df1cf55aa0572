// The distribution-level view: three Gaussians in the plane with the exact ε, guided by each method at the same w, beside the
// exact tilted density Σ_c p(x|c) p(c|x)^w / Z_c.
import { join } from 'node:path';
import { fold, key, labels, type Model } from '@logsnr/core';
import { densityMaps, writePng } from '@logsnr/figures';
import {
  apg,
  autoguidance,
  cfgPlusPlus,
  cfgZeroStar,
  classifierFree,
  classifierGuidance,
  feedbackGuidance,
  independentCondition,
  interval,
  mamboG,
  momentumGuidance,
  rescale,
  rising,
  seeded,
  slidingMode,
  tcfg,
  timeStepGuidance,
  uniformLabels,
} from '@logsnr/guidance';
import { ddim, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { Command } from 'commander';
import { square, triangle } from '../mixture/plane.js';

const options = new Command('mixture')
  .description('Densities of what each guidance method draws from a Gaussian mixture, beside the exact tilted density.')
  .option('--out <dir>', 'folder for guidance-mixture.png', 'out/guidance')
  .option('--samples <n>', 'samples a panel', Number, 20_000)
  .option('--steps <T>', 'sampling steps', Number, 64)
  .option('--w <w>', 'guidance weight', Number, 2)
  .option('--seed <n>', 'seed of all noise', Number, 0)
  .option('--quick', 'few samples and steps, to see it run', false)
  .parse()
  .opts<{ out: string; samples: number; steps: number; w: number; seed: number; quick: boolean }>();
if (options.quick) Object.assign(options, { samples: 400, steps: 4 });
const { samples, w } = options;

await useBackend();
const started = performance.now();
const mixture = triangle();
const { model } = mixture;
const classes = labels(3);
const { width, panel, tilted, histogram } = square(80, 2.4);

const c = classes.of(Array.from({ length: samples }, (_, i) => i % 3));
/** A histogram of the samples. */
function drawn<C>(guided: Model<C>, condition: C) {
  const of = { lambdas: grid(arctan(), options.steps), shape: [samples, 2], key: key(options.seed) };
  return histogram(sample({ model: guided, condition, sampler: ddim(), ...of }));
}

const seededLabels = seeded(c, fold(key(options.seed), 1), samples, [3]);
const free = (rule?: Parameters<typeof classifierFree>[3], weight: Parameters<typeof classifierFree>[2] = w) =>
  classifierFree(model, classes, weight, rule);
const guided: [string, () => ReturnType<typeof drawn>][] = [
  ['no guidance', () => drawn(free({}, 0), c)],
  ['classifier-free', () => drawn(free(), c)],
  ['classifier guidance', () => drawn(classifierGuidance(model, mixture.logPosterior, w), c)],
  ['interval, 0.28 ≤ σ ≤ 2', () => drawn(free({}, interval(w, { sigma: [0.28, 2] })), c)],
  ['rising, linear', () => drawn(free({}, rising(w)), c)],
  ['rescale, φ = 0.7', () => drawn(free({ rule: rescale(0.7) }), c)],
  ['APG, η = 0', () => drawn(free({ rule: apg() }), c)],
  ['CFG-Zero*', () => drawn(free({ rule: cfgZeroStar() }), c)],
  ['TCFG', () => drawn(free({ rule: tcfg }), c)],
  ['MAMBO-G, α = 1', () => drawn(free({ rule: mamboG(1) }), c)],
  ['sliding mode, K = 0.2', () => drawn(free({ rule: slidingMode() }), c)],
  // Bayes' rule itself, so where the model is unsure it guides up to maxW.
  ['feedback, π = 0.7', () => drawn(feedbackGuidance(model, classes, { pi: 0.7, tau: 1, delta: 0, maxW: w }), c)],
  ['momentum, w = 0.5', () => drawn(momentumGuidance(free({}, 0), 0.5), c)],
  ['CFG++, w = −0.8', () => drawn(cfgPlusPlus(model, classes, -0.8), c)],
  ['autoguidance, weak std 0.8', () => drawn(autoguidance(model, triangle(0.8).model, w), c)],
  ['independent condition', () => drawn(independentCondition(model, classes, uniformLabels, w), seededLabels)],
  [
    'time-step, 1 nat',
    () => drawn(timeStepGuidance(model, classes, 1, w), seeded(c, fold(key(options.seed), 2), samples)),
  ],
];
const exact = tilted(mixture, w);
console.log('method                        distance from the centre   deviation across   from the tilted density');
const panels = [panel(`exact, w = ${w}`, exact)];
for (const [name, draw] of guided) {
  const { density, along, across } = draw();
  // Half the L1 distance: 0 for equal densities, 1 for disjoint ones; a histogram has some of it by chance.
  const far = density.reduce((sum, value, i) => sum + Math.abs(value - (exact[i] as number)), 0) * (width ** 2 / 2);
  console.log(
    `${name.padEnd(28)} ${along.toFixed(3).padStart(25)} ${across.toFixed(3).padStart(18)} ${far.toFixed(3).padStart(25)}`,
  );
  panels.push(panel(name, density));
}
const file = join(options.out, 'guidance-mixture.png');
await writePng(
  file,
  densityMaps({
    title: `What each method draws at w = ${w}, and the density that guidance aims at`,
    panels,
    columns: 5,
    size: 260,
    xLabel: 'x₁',
    yLabel: 'x₂',
  }),
);
console.log(`${file} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
