// Guidance on three Gaussians in the plane, one a class, with the exact ε and no training (the paper's figure 2).
// Above: the tilted density Σ_c p(x|c) p(c|x)^w / Z_c in closed form. Below: what guided sampling draws.
import { join } from 'node:path';
import { key, labels } from '@logsnr/core';
import { densityMaps, writePng } from '@logsnr/figures';
import { classifierFree } from '@logsnr/guidance';
import { ancestral, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { Command } from 'commander';
import { square, triangle } from './plane.js';

const options = new Command('mixture')
  .description('Densities of guided samples of a Gaussian mixture for growing w, as a picture.')
  .option('--out <dir>', 'folder for mixture.png', 'out/mixture')
  .option('--samples <n>', 'samples a panel', Number, 30_000)
  .option('--steps <T>', 'sampling steps', Number, 128)
  .option('--seed <n>', 'seed of all noise', Number, 0)
  .option('--quick', 'few samples and steps, to see it run', false)
  .parse()
  .opts<{ out: string; samples: number; steps: number; seed: number; quick: boolean }>();
if (options.quick) Object.assign(options, { samples: 400, steps: 4 });
const weights = [0, 0.5, 1, 2, 4];

await useBackend();
const mixture = triangle();
const classes = labels(mixture.classes);
const { panel, tilted, histogram } = square(90, 2.2);

/** A histogram of guided samples. */
function drawn(w: number) {
  const n = options.samples;
  const condition = classes.of(Array.from({ length: n }, (_, i) => i % classes.classes));
  const model = classifierFree(mixture.model, classes, w);
  const lambdas = grid(arctan(), options.steps);
  const points = sample({ model, condition, sampler: ancestral(), lambdas, shape: [n, 2], key: key(options.seed) });
  condition.dispose();
  return histogram(points);
}

const started = performance.now();
const sampled = weights.map((w) => ({ w, ...drawn(w) }));
console.log('   w   mean distance from the centre   spread across');
for (const { w, along, across } of sampled)
  console.log(`${w.toFixed(1).padStart(4)}   ${along.toFixed(3).padStart(29)}   ${across.toFixed(3).padStart(13)}`);

const file = join(options.out, 'mixture.png');
const panels = [
  ...weights.map((w) => panel(`w = ${w}, density`, tilted(mixture, w))),
  ...sampled.map(({ w, density }) => panel(`w = ${w}, samples`, density)),
];
await writePng(
  file,
  densityMaps({
    title: 'Guidance moves each class away from the others',
    panels,
    columns: weights.length,
    size: 300,
    xLabel: 'x₁',
    yLabel: 'x₂',
  }),
);
console.log(`${file} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
