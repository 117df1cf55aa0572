// Error against model calls on models whose ε is exact, in float64: two pictures and a table for docs/samplers.md.

import { join } from 'node:path';
import { lineChart, type Series, writePng } from '@logsnr/figures';
import {
  adaptive,
  ancestral,
  ddim,
  ddpm,
  deis,
  dpmSolver2,
  dpmSolver2Ancestral,
  dpmSolverPP2M,
  dpmSolverPP2S,
  dpmSolverPP2SAncestral,
  dpmSolverPP3M,
  edmStochastic,
  exponentialAB,
  heun,
  lms,
  pndm,
  predictEps,
  restart,
  type Sampler,
  saSolver,
  unipc,
  walk,
} from '@logsnr/samplers';
import { Command } from 'commander';
import { bell, bellAt, bellEps, lineEps, lineFlow } from '../packages/samplers/src/testing/closed-forms.js';

type Numbers = Sampler<unknown, Float64Array>;
type Point = [calls: number, error: number];

const { out } = new Command('bench:samplers')
  .description('Draws the error of every sampler against model calls, and prints the tables of docs/samplers.md.')
  .option('--out <dir>', 'where the two pictures go', 'docs/images')
  .allowExcessArguments(false)
  .parse()
  .opts<{ out: string }>();
const [first, last] = [-10, 14];
const evenGrid = (steps: number) =>
  Array.from({ length: steps }, (_, i) => first + ((last - first) * i) / Math.max(1, steps - 1));
const counts = [8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256];
const clean = Number.POSITIVE_INFINITY;

/** The walk to clean data: where it ends and how often it called the model. */
function run(
  sampler: Sampler,
  lambdas: readonly number[],
  z: Float64Array,
  model: typeof lineEps,
  noise: () => Float64Array,
) {
  let [calls, x] = [0, z];
  const eps = (z: Float64Array, lambda: number) => {
    calls++;
    return model(z, lambda);
  };
  const predict = predictEps(eps);
  for (const step of walk({ sampler: sampler as unknown as Numbers, predict, lambdas, z, noise })) x = step.z;
  return { calls, x };
}

const starts = Float64Array.from({ length: 15 }, (_, i) => -1.75 + 0.25 * i);
const flow = lineFlow(starts, first, clean);

/** The root mean square distance of x to the exact flow of a mixture, from 15 points. */
function flowPoint(sampler: Sampler, lambdas: readonly number[]): Point {
  const { calls, x } = run(sampler, lambdas, starts, lineEps, () => {
    throw new Error(`${sampler.name} draws noise`);
  });
  return [calls, Math.hypot(...x.map((value, i) => value - (flow[i] as number))) / Math.sqrt(x.length)];
}

/** The distance of the law of x to a Gaussian's, mean and standard deviation: every noise is a coordinate of its own. */
function lawPoint(sampler: Sampler, lambdas: readonly number[]): Point {
  let drawn = 0;
  run(sampler, lambdas, new Float64Array(2), bellEps, () => new Float64Array(2 + 0 * drawn++));
  const z = new Float64Array(2 + drawn);
  const { mean, variance } = bellAt(first);
  z.set([mean, Math.sqrt(variance)]);
  let next = 2;
  const { calls, x } = run(sampler, lambdas, z, bellEps, () => {
    const unit = new Float64Array(z.length);
    unit[next++] = 1;
    return unit;
  });
  return [calls, Math.hypot((x[0] as number) - bell.mean, Math.hypot(...x.subarray(1)) - bell.std)];
}

interface Curve {
  sampler: Sampler;
  color: string;
  name?: string;
  dash?: boolean;
}

function curves(of: readonly Curve[], point: typeof flowPoint): Series[] {
  return of.map(({ sampler, name = sampler.name, color, dash = false }) => {
    const callsOf = (steps: number) => point(sampler, evenGrid(steps));
    // As many steps as come nearest to each number of calls.
    const rate = callsOf(64)[0] / 64;
    const points = counts.map((calls) => callsOf(Math.max(2, Math.round(calls / rate))));
    return { name, color, dash, markers: true, points: points.filter(([calls]) => calls >= 7 && calls <= 300) };
  });
}

const as = (sampler: unknown, color: string, more: Omit<Curve, 'sampler' | 'color'> = {}): Curve => ({
  sampler: sampler as Sampler,
  color,
  ...more,
});

const flows = curves(
  [
    as(ddim(), '#222222', { name: 'ddim, euler' }),
    as(heun(), '#cc4e00'),
    as(dpmSolver2(), '#e69f00'),
    as(dpmSolverPP2S(), '#a3195b'),
    as(dpmSolverPP2M(), '#1b5fa6'),
    as(dpmSolverPP3M(), '#56b4e9'),
    as(unipc({ order: 2 }), '#3a7d34', { name: 'unipc(2)' }),
    as(unipc({ order: 3 }), '#7fbf3f', { name: 'unipc(3)' }),
    as(lms(), '#5a4fcf', { dash: true }),
    as(deis(), '#0a8f8f', { dash: true }),
    as(exponentialAB({ prediction: 'eps' }), '#b8860b', { dash: true, name: 'exponentialAB(3, ε)' }),
    as(pndm(), '#7a3b2e', { dash: true }),
    as(saSolver({ tau: 0 }), '#d45087', { dash: true, name: 'saSolver(τ = 0)' }),
  ],
  flowPoint,
);
const tolerances = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];
const adaptively = tolerances.map((tolerance) =>
  flowPoint(adaptive({ rtol: tolerance, atol: tolerance }) as unknown as Sampler, [first, last]),
);
flows.push({
  name: 'adaptive',
  color: '#999999',
  dash: true,
  markers: true,
  points: adaptively.filter(([calls]) => calls <= 300),
});

const laws = curves(
  [
    as(ancestral(), '#222222', { name: 'ancestral(0), ddim(1)' }),
    as(ancestral({ v: 0.3 }), '#888888'),
    as(ddpm({ variance: 'large' }), '#bbbbbb'),
    as(ddim({ eta: 0.5 }), '#7a3b2e'),
    as(dpmSolver2Ancestral(), '#e69f00', { name: 'dpmSolver2Ancestral' }),
    as(dpmSolverPP2SAncestral(), '#a3195b', { name: 'dpmSolverPP2SAncestral' }),
    as(edmStochastic(), '#cc4e00'),
    as(restart(heun(), [{ from: -1, to: 1, times: 2 }]), '#b8860b', { dash: true }),
    as(dpmSolverPP2M({ eta: 1 }), '#1b5fa6'),
    as(dpmSolverPP3M({ eta: 1 }), '#56b4e9'),
    as(saSolver(), '#3a7d34', { dash: true }),
  ],
  lawPoint,
);

const x = { label: 'model calls', log: true };
await writePng(
  join(out, 'samplers.png'),
  lineChart({
    title: 'Deterministic samplers: error of x against model calls',
    subtitle:
      'Distance to the exact flow of a Gaussian mixture in one dimension, even steps in λ from −10 to 14, float64',
    x,
    y: [{ label: 'root mean square error', log: true }],
    series: flows,
    width: 1400,
    height: 1000,
  }),
);
await writePng(
  join(out, 'samplers-stochastic.png'),
  lineChart({
    title: 'Stochastic samplers: error of the law of x against model calls',
    subtitle: 'Mean and standard deviation against those of a Gaussian, exactly and without sampling; even steps in λ',
    x,
    y: [{ label: 'error of mean and standard deviation', log: true }],
    series: laws,
    width: 1400,
    height: 1000,
  }),
);

/** The error at the points nearest to these numbers of calls. */
const columns = [8, 16, 32, 64, 128];
const nearest = (points: Series['points'], calls: number) =>
  points.reduce((best, point) =>
    Math.abs(Math.log(point[0] / calls)) < Math.abs(Math.log(best[0] / calls)) ? point : best,
  );
for (const series of [flows, laws]) {
  console.log(`| sampler | ${columns.join(' | ')} |\n| --- |${' ---: |'.repeat(columns.length)}`);
  for (const { name, points } of series)
    console.log(
      `| ${name} | ${columns
        .map((calls) => nearest(points, calls))
        .map(([calls, error]) => `${error.toExponential(1)} (${calls})`)
        .join(' | ')} |`,
    );
  console.log();
}
