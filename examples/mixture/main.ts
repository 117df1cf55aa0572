// Guidance on three Gaussians in the plane, one a class, with the exact ε and no training (the paper's figure 2).
// Above: the tilted density Σ_c p(x|c) p(c|x)^w / Z_c in closed form. Below: what guided sampling draws.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { gaussianMixture, key, labels } from '@logsnr/core';
import { densityMaps, writePng } from '@logsnr/figures';
import { classifierFree } from '@logsnr/guidance';
import { ancestral, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { Command } from 'commander';

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
const cells = 90;
const extent: [number, number] = [-2.2, 2.2];

await useBackend();
const angles = [90, 210, 330].map((degrees) => (degrees * Math.PI) / 180);
const mixture = gaussianMixture(angles.map((a) => ({ mean: [0.9 * Math.cos(a), 0.9 * Math.sin(a)], std: 0.5 })));
const classes = labels(mixture.classes);
const width = (extent[1] - extent[0]) / cells;
const centre = (i: number) => extent[0] + (i + 0.5) * width;
const all = [...Array(cells * cells).keys()].map((i) => [centre(i % cells), centre(Math.floor(i / cells))] as const);

/** The mixture of the three normalized densities p(x|c)^{1+w} / p(x)^w on the cells. */
function tilted(w: number): Float64Array {
  const total = new Float64Array(cells * cells);
  for (let c = 0; c < classes.classes; c++) {
    const at = (x: readonly [number, number], label?: number) => mixture.logDensity(x, Number.POSITIVE_INFINITY, label);
    const density = all.map((x) => Math.exp((1 + w) * at(x, c) - w * at(x)));
    const mass = density.reduce((sum, value) => sum + value, 0) * width ** 2;
    density.forEach((value, i) => {
      total[i] = (total[i] as number) + value / mass / classes.classes;
    });
  }
  return total;
}

/** A histogram of guided samples, as a density on the cells, and their spread about the mean of their class. */
function drawn(w: number): { density: Float64Array; spread: number; radius: number } {
  const n = options.samples;
  const condition = classes.of(Array.from({ length: n }, (_, i) => i % classes.classes));
  const model = classifierFree(mixture.model, classes, w);
  const lambdas = grid(arctan(), options.steps);
  const points = sample({ model, condition, sampler: ancestral(), lambdas, shape: [n, 2], key: key(options.seed) });
  const xy = points.dataSync();
  const density = new Float64Array(cells * cells);
  let [square, along] = [0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [xy[2 * i] as number, xy[2 * i + 1] as number];
    const [column, row] = [x, y].map((value) => Math.floor((value - extent[0]) / width)) as [number, number];
    if (column >= 0 && column < cells && row >= 0 && row < cells)
      density[row * cells + column] = (density[row * cells + column] as number) + 1 / (n * width ** 2);
    const angle = angles[i % 3] as number;
    along += (x * Math.cos(angle) + y * Math.sin(angle)) / n;
    square += (x * Math.sin(angle) - y * Math.cos(angle)) ** 2 / n;
  }
  points.dispose();
  condition.dispose();
  return { density, spread: Math.sqrt(square), radius: along };
}

const started = performance.now();
const panel = (title: string, density: Float64Array) => ({
  title,
  density,
  width: cells,
  height: cells,
  x: extent,
  y: extent,
});
const sampled = weights.map((w) => ({ w, ...drawn(w) }));
console.log('   w   mean distance from the centre   spread across');
for (const { w, radius, spread } of sampled)
  console.log(`${w.toFixed(1).padStart(4)}   ${radius.toFixed(3).padStart(29)}   ${spread.toFixed(3).padStart(13)}`);

mkdirSync(options.out, { recursive: true });
const file = join(options.out, 'mixture.png');
const panels = [
  ...weights.map((w) => panel(`w = ${w}, density`, tilted(w))),
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
