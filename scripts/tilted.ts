// pnpm tilted: how far guidance is from the density that it aims at, and how far Feynman–Kac correctors are, on a mixture of Gaussians.
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkFinite, checkInteger, eager, fold, gaussianMixture, key, labels } from '@logsnr/core';
import { densityMaps, lineChart } from '@logsnr/figures';
import { classifierFree, tilted } from '@logsnr/guidance';
import { makeFolder, piecesOf, replaceFile, say } from '@logsnr/io/node';
import { compileSampler, dpmSolverPP2M, feynmanKac, type ParticleStep, sampleMany } from '@logsnr/samplers';
import { native, useBackend } from '@logsnr/tensorflow';
import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import {
  CELLS,
  densityOf,
  distance,
  drawnShares,
  type Gaussian,
  REACH,
  type Shares,
  sharesOf,
  tiltedShares,
} from './tilted-density.js';
import { evenGrid, readMixture } from './tilted-mixture.js';

const usage = `pnpm tilted --mixture FILE --w W [--particles N] [--steps T] [--json OUT] [--picture PNG]
pnpm tilted --mixture FILE --w W [--particles N] [--steps T] --curves PNG

Draws the class of a mixture of Gaussians in the plane with its exact noise prediction: by classifier-free guidance alone (plain), and
by the same with Feynman–Kac correctors (corrected). The target is the tilted density p(x|c)^(1+w) p(x)^(−w). Told are half the L¹
distances to it on ${CELLS} × ${CELLS} cells over [−${REACH}, ${REACH}]², all that is outside being one cell more, and the same of N independent samples of it (floor).

  --mixture FILE   JSON: {"components": [{"mean": [x, y], "std": s, "weight": p, "label": c}, …], "class": c}; weights are relative
  --w W            guidance weight, at least −1; 0 is no guidance
  --particles N    by default 200000
  --steps T        even steps in λ, by default 400; from −10 to 10 where means are within 1 and deviations are above 0.5, else further
  --seed S         of all noise, by default 0
  --json OUT       writes {"plain", "corrected", "floor"}
  --picture PNG    the densities of plain, of corrected and exact, side by side
  --curves PNG     the distances against T and against N, up to those given`;

const text = { type: 'string' as const };
const options = {
  ...{
    mixture: text,
    w: text,
    json: text,
    picture: text,
    curves: text,
    help: { type: 'boolean' as const, short: 'h' },
  },
  ...{ particles: { ...text, default: '200000' }, steps: { ...text, default: '400' }, seed: { ...text, default: '0' } },
};

interface Run {
  readonly parts: readonly Gaussian[];
  readonly label: number;
  readonly w: number;
  readonly particles: number;
  readonly steps: number;
  readonly seed: number;
}

/** What both ways to draw share. */
function settingsOf({ parts, label, steps, seed }: Run) {
  const mixture = gaussianMixture(parts);
  const classes = labels(mixture.classes);
  const condition = (_: number, n: number) => classes.of(new Array(n).fill(label));
  const own = { lambdas: evenGrid(parts, steps), shape: [2], key: key(seed), batch: 25_000, condition };
  const runtime = getBackend() === 'tensorflow' ? native() : eager;
  return { model: mixture.model, classes, runtime, sampler: dpmSolverPP2M({ eta: 1 }), own };
}

const cellsOf = (x: Tensor): Shares => {
  const points = x.dataSync();
  x.dispose();
  return sharesOf(points);
};

/** What guidance alone draws. */
function plain(run: Run): Shares {
  const { model, classes, runtime, sampler, own } = settingsOf(run);
  const draw = compileSampler(runtime, { model: classifierFree(model, classes, run.w), sampler });
  const tell = teller('plain');
  const x = sampleMany({ ...own, draw, samples: run.particles, onProgress: (done, of) => tell(done, of, 'samples') });
  draw.dispose();
  return cellsOf(x);
}

/** What it draws with correctors. */
function corrected(run: Run): Shares {
  const { model, classes, runtime, sampler, own } = settingsOf(run);
  const draw = feynmanKac({ model: tilted(model, classes, run.w), sampler, runtime });
  const tell = teller('corrected');
  const onStep = ({ step, steps, effective }: ParticleStep) =>
    tell(step, steps, `steps, effective size ${((100 * (effective[0] as number)) / run.particles).toFixed(0)} %`);
  const x = draw.sample({ ...own, particles: run.particles, onStep });
  draw.dispose();
  return cellsOf(x);
}

/** What independent samples give. */
const floor = ({ particles, seed }: Run, exact: Shares): Shares => drawnShares(exact, particles, fold(key(seed), 1));

/** A line of progress every five seconds, and one at the end. */
function teller(name: string): (done: number, of: number, what: string) => void {
  let last = performance.now();
  return (done, of, what) => {
    const now = performance.now();
    if (now - last < 5000 && done < of) return;
    last = now;
    say(`${name}: ${done} of ${of} ${what}`);
  };
}

const rounded = (value: number): number => Number(value.toFixed(4));

function picture(drawn: Record<'plain' | 'corrected', Shares>, exact: Shares, w: number): Uint8Array {
  const edges: [number, number] = [-REACH, REACH];
  const panel = (title: string, shares: Shares) => ({
    ...{ title, density: densityOf(shares), width: CELLS, height: CELLS, x: edges, y: edges },
  });
  return densityMaps({
    title: `Guidance at w = ${w}, corrected, and the density that it aims at`,
    panels: [panel('guidance alone', drawn.plain), panel('with correctors', drawn.corrected), panel('exact', exact)],
    columns: 3,
    size: 360,
    xLabel: 'x₁',
    yLabel: 'x₂',
  });
}

/** The distances against T at N particles, and against N at T steps: one chart below the other would hide that they share an axis. */
function curves(run: Run, exact: Shares): Uint8Array {
  const halves = (most: number, least: number) =>
    Array.from({ length: 5 }, (_, i) => Math.max(least, Math.round(most / 2 ** (4 - i))));
  const series = { steps: halves(run.steps, 2), particles: halves(run.particles, 1) };
  const lines = Object.entries(series).map(([what, values]) => {
    const points = values.map((value) => {
      const own = { ...run, [what]: value };
      const of = (shares: Shares) => rounded(distance(shares, exact));
      const far = { corrected: of(corrected(own)), floor: of(floor(own, exact)) };
      process.stdout.write(`${what} ${value}: ${JSON.stringify(far)}\n`);
      return { share: value / (values.at(-1) as number), ...far };
    });
    const named = { steps: 'fewer steps', particles: 'fewer particles' }[what] as string;
    const of = (kind: 'corrected' | 'floor', name: string) => ({
      ...{ name, markers: true, points: points.map((point): [number, number] => [point.share, point[kind]]) },
    });
    return [of('corrected', `corrected, ${named}`), of('floor', `exact samples, ${named}`)];
  });
  return lineChart({
    title: 'The remaining distance to the tilted density',
    subtitle: `w = ${run.w}: a share of ${run.steps} steps and ${run.particles} particles, and of ${run.particles} particles and ${run.steps} steps`,
    x: { label: 'share of the steps, or of the particles', log: true },
    y: [{ label: 'half the L¹ distance', min: 0 }],
    series: lines.flat(),
  });
}

/** The arguments with `--w -0.5` as `--w=-0.5`, as parseArgs takes a number below 0 for another option. */
const joined = (given: readonly string[]): string[] => {
  const args = given.filter((arg) => arg !== '--');
  const at = args.findIndex((arg, i) => arg === '--w' && /^-[\d.]/.test(args[i + 1] ?? ''));
  return at < 0 ? args : [...args.slice(0, at), `--w=${args[at + 1]}`, ...args.slice(at + 2)];
};

async function main(): Promise<void> {
  const { values } = parseArgs({ args: joined(process.argv.slice(2)), options });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  for (const name of ['mixture', 'w'] as const)
    if (values[name] === undefined) throw new RangeError(`--${name} is missing.\n\n${usage}`);
  const number = (name: 'w' | 'particles' | 'steps' | 'seed'): number => {
    const given = values[name] as string;
    return given.trim() === '' ? Number.NaN : Number(given);
  };
  const [w, particles, steps, seed] = [number('w'), number('particles'), number('steps'), number('seed')];
  checkFinite('--w', w);
  if (w < -1)
    throw new RangeError(`--w is ${w}; it must be at least −1, as p(x|c)^(1+w) p(x)^(−w) need be no density below.`);
  checkInteger('--particles', particles, 1);
  checkInteger('--steps', steps, 2);
  checkInteger('--seed', seed);
  const run = { ...(await readMixture(values.mixture as string)), w, particles, steps, seed };
  const files = [values.json, values.picture, values.curves].filter((file) => file !== undefined);
  for (const file of files) await makeFolder(dirname(resolve(file)));
  const exact = tiltedShares(run.parts, run.label, w);
  const outside = exact.at(-1) as number;
  if (outside > 0.01)
    say(`${(100 * outside).toFixed(0)} % of the tilted density is outside of [−${REACH}, ${REACH}]², as one cell.`);
  await useBackend();
  if (values.curves) {
    await replaceFile(values.curves, piecesOf(curves(run, exact)));
    return;
  }
  const found = { plain: plain(run), corrected: corrected(run), floor: floor(run, exact) };
  const far = Object.fromEntries(
    Object.entries(found).map(([name, shares]) => [name, rounded(distance(shares, exact))]),
  );
  if (values.json) await replaceFile(values.json, piecesOf(`${JSON.stringify(far)}\n`));
  if (values.picture) await replaceFile(values.picture, piecesOf(picture(found, exact, w)));
  process.stdout.write(`${JSON.stringify(far)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`tilted: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
