// The distribution-level view: three Gaussians in the plane with the exact ε, guided by each method at the same w, beside the
// exact tilted density Σ_c p(x|c) p(c|x)^w / Z_c.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fold, gaussianMixture, key, labels, type Model } from '@logsnr/core';
import { densityMaps, writePng } from '@logsnr/figures';
import {
  apg,
  autoguidance,
  cfgPlusPlus,
  cfgZeroStar,
  classifierFree,
  classifierGuidance,
  independentCondition,
  interval,
  mamboG,
  rescale,
  rising,
  seeded,
  tcfg,
  timeStepGuidance,
  uniformLabels,
} from '@logsnr/guidance';
import { ddim, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { Command } from 'commander';

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
const cells = 80;
const extent: [number, number] = [-2.4, 2.4];

await useBackend();
const started = performance.now();
const angles = [90, 210, 330].map((degrees) => (degrees * Math.PI) / 180);
const components = (std: number) => angles.map((a) => ({ mean: [0.9 * Math.cos(a), 0.9 * Math.sin(a)], std }));
const mixture = gaussianMixture(components(0.5));
const { model } = mixture;
const classes = labels(3);
const width = (extent[1] - extent[0]) / cells;
const centre = (i: number) => extent[0] + (i + 0.5) * width;

/** The mixture of the three normalized densities p(x|c)^{1+w} / p(x)^w on the cells. */
function tilted(weight: number): Float64Array {
  const total = new Float64Array(cells * cells);
  for (let c = 0; c < 3; c++) {
    const density = Float64Array.from(total, (_, i) => {
      const x = [centre(i % cells), centre(Math.floor(i / cells))];
      const at = (label?: number) => mixture.logDensity(x, Number.POSITIVE_INFINITY, label);
      return Math.exp((1 + weight) * at(c) - weight * at());
    });
    const mass = density.reduce((sum, value) => sum + value, 0) * width ** 2;
    density.forEach((value, i) => {
      total[i] = (total[i] as number) + value / mass / 3;
    });
  }
  return total;
}

const c = classes.of(Array.from({ length: samples }, (_, i) => i % 3));
/** A histogram of the samples as a density, their mean distance from the centre and their deviation across it. */
function drawn<C>(guided: Model<C>, condition: C) {
  const lambdas = grid(arctan(), options.steps);
  const points = sample({
    model: guided,
    condition,
    sampler: ddim(),
    lambdas,
    shape: [samples, 2],
    key: key(options.seed),
  });
  const xy = points.dataSync();
  points.dispose();
  const density = new Float64Array(cells * cells);
  let [across, along] = [0, 0];
  for (let i = 0; i < samples; i++) {
    const [x, y] = [xy[2 * i] as number, xy[2 * i + 1] as number];
    const [column, row] = [x, y].map((value) => Math.floor((value - extent[0]) / width)) as [number, number];
    const cell = row * cells + column;
    if (column >= 0 && column < cells && row >= 0 && row < cells) density[cell] = (density[cell] as number) + 1;
    const angle = angles[i % 3] as number;
    along += (x * Math.cos(angle) + y * Math.sin(angle)) / samples;
    across += (x * Math.sin(angle) - y * Math.cos(angle)) ** 2 / samples;
  }
  return { density: density.map((n) => n / (samples * width ** 2)), along, across: Math.sqrt(across) };
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
  ['CFG++, w = −0.8', () => drawn(cfgPlusPlus(model, classes, -0.8), c)],
  ['autoguidance, weak std 0.8', () => drawn(autoguidance(model, gaussianMixture(components(0.8)).model, w), c)],
  ['independent condition', () => drawn(independentCondition(model, classes, uniformLabels, w), seededLabels)],
  [
    'time-step, 1 nat',
    () => drawn(timeStepGuidance(model, classes, 1, w), seeded(c, fold(key(options.seed), 2), samples)),
  ],
];
const exact = tilted(w);
console.log('method                        distance from the centre   deviation across   from the tilted density');
const panels = [{ title: `exact, w = ${w}`, density: exact }];
for (const [name, draw] of guided) {
  const { density, along, across } = draw();
  // Half the L1 distance: 0 for equal densities, 1 for disjoint ones; a histogram has some of it by chance.
  const far = density.reduce((sum, value, i) => sum + Math.abs(value - (exact[i] as number)), 0) * (width ** 2 / 2);
  console.log(
    `${name.padEnd(28)} ${along.toFixed(3).padStart(25)} ${across.toFixed(3).padStart(18)} ${far.toFixed(3).padStart(25)}`,
  );
  panels.push({ title: name, density });
}
mkdirSync(options.out, { recursive: true });
const file = join(options.out, 'guidance-mixture.png');
await writePng(
  file,
  densityMaps({
    title: `What each method draws at w = ${w}, and the density that guidance aims at`,
    panels: panels.map((panel) => ({ ...panel, width: cells, height: cells, x: extent, y: extent })),
    columns: 5,
    size: 260,
    xLabel: 'x₁',
    yLabel: 'x₂',
  }),
);
console.log(`${file} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
