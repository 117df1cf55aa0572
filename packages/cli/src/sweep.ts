import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { fold, key } from '@logsnr/core';
import type { DirectExtractor, ImageSource } from '@logsnr/evaluation';
import {
  evaluate,
  featuresOf,
  openExtractor,
  openImages,
  PACKAGED_CLASSIFIERS,
  readStatistics,
  writeStatistics,
} from '@logsnr/evaluation/node';
import { encodePng, imageGrid, writePng } from '@logsnr/figures';
import { DamagedFile } from '@logsnr/io';
import { fingerprintOf, piecesOf, readText, replaceFile, say, takeLock } from '@logsnr/io/node';
import { linearAlgebra, native, useBackend } from '@logsnr/tensorflow';
import { clipByValue } from '@tensorflow/tfjs-core';
import type { Command } from 'commander';
import { addDrawing, type Drawing, drawerOf } from './methods.js';
import { type LoadedFolder, openModel } from './model-folder.js';
import { finite, haveFolder, integer, share } from './options.js';
import { type Cell, type CellScores, cellFile, doCells, isForeign, scoresOf } from './sweep-cells.js';
import { sweepTable, writeReport } from './sweep-report.js';

interface Options extends Drawing {
  w: number[];
  steps: number[];
  samples: number;
  extractor?: string;
  reference?: string;
  seed: number;
  batch: number;
  out: string;
  json?: boolean;
}

const list = (one: (text: string) => number) => (text: string) => [...new Set(text.split(',').map(one))];

/** Where a model's own data have their reference. */
const REFERENCES: Readonly<Record<string, string>> = {
  mnist: 'mnist:test',
  'fashion-mnist': 'fashion-mnist:test',
  cifar10: 'cifar10:test_batch',
};
const SETTINGS = 'sweep.json';
const REFERENCE = 'reference.npz';
const SHOWN = 40;
/** An hour: how long to wait for another process that computes the reference. */
const PATIENCE = { waitMs: 3_600_000, onWait: say };

/** `logsnr sweep`: FID and Inception Score at many guidance weights and numbers of steps. */
export function addSweep(program: Command): void {
  const command = program
    .command('sweep')
    .description('Fréchet distance and Inception Score at each guidance weight w and number of steps T')
    .argument('<model>', 'as of `logsnr sample`')
    .requiredOption('--out <folder>', 'where the cells, tables and pictures go')
    .option('--w <list>', 'guidance weights', list(finite), [0, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 4])
    .option('--steps <list>', 'numbers of sampling steps T', list(integer(2)), [32])
    .option('--samples <n>', 'images in each cell', integer(20), 1000)
    .option('--extractor <name>', 'as of `logsnr evaluate` (default: the classifier of the data, else inception)')
    .option('--reference <what>', 'as of `logsnr evaluate` (default: the test images of the data)');
  addDrawing(command, share)
    .option('--seed <n>', 'seed of the noise, the same in all cells', integer(0), 0)
    .option('--batch <n>', 'images at once', integer(1), 50)
    .option('--json', 'print the rows as one line of JSON')
    .addHelpText(
      'after',
      `
The same command goes on where it was stopped, and with more --w or --steps adds their cells. Several processes may share the folder: each
takes cells that nobody has, and a killed one loses its cell alone. So the tasks of a Slurm array (SLURM_ARRAY_TASK_ID) or of an indexed
Kubernetes job (JOB_COMPLETION_INDEX) run this one command. A lock that a killed task leaves on another machine is named; delete it.

Examples:
  logsnr sweep runs/mnist --w 0,0.5,1,2,3,4 --steps 16,64 --samples 500 --out sweeps/mnist
  sbatch --array=0-7 --wrap "logsnr sweep runs/imagenet64 --reference imagenet.npz --steps 64,256 --samples 50000 --out sweeps/64"`,
    )
    .action(run);
}

async function run(from: string, options: Options): Promise<void> {
  const { out, json, samples, seed } = options;
  if (await isForeign(out, SETTINGS))
    throw new RangeError(`${out} has files that are not a sweep's; give another --out.`);
  const { backend } = await useBackend({ quiet: json ?? false });
  const model = await openModel(from);
  try {
    const data = model.record.data?.name ?? '';
    const named = options.extractor ?? (Object.hasOwn(PACKAGED_CLASSIFIERS, data) ? data : 'inception');
    const reference = options.reference ?? REFERENCES[data];
    if (reference === undefined)
      throw new RangeError(
        `"${model.record.name}" was trained on ${data || 'data that it does not name'}; give --reference: images, or a .npz of statistics.`,
      );
    const extractor = await openExtractor(named, backend === 'tensorflow' ? { runtime: native() } : {});
    const { sampler, v, guidance = null, precision } = options;
    await haveFolder(join(out, 'cells'));
    await settle(out, {
      ...{ weights: (await fingerprintOf(model.file)).sha256, extractor: extractor.sha256, reference },
      ...{ samples, seed, sampler, v, guidance, precision },
    });
    await referenceOf(out, reference, extractor, backend);
    const cells = options.w.flatMap((w) => options.steps.map((steps): Cell => ({ w, steps })));
    // What cannot be drawn is said before any work.
    for (const cell of cells) (await drawerOf(model, { ...options, ...cell, key: key(seed) })).dispose();
    const busy = await doCells(out, cells, (cell) => compute(model, extractor, cell, options, backend));
    const subtitle = `${model.record.name}: ${samples} samples in each cell, ${sampler}, in features of ${extractor.extractor}`;
    const rows = await report(out, { name: model.record.name, subtitle }, cells);
    console.log(json ? JSON.stringify(rows) : sweepTable(rows));
    if (busy.length > 0)
      say(`${busy.length} of ${cells.length} cells are under way elsewhere; who ends last writes all.`);
  } finally {
    model.dispose();
  }
}

/** Notes what the numbers depend on. @throws RangeError where the folder's sweep has other settings. */
async function settle(out: string, settings: object): Promise<void> {
  const own = JSON.parse(JSON.stringify(settings));
  await underLock(out, async () => {
    const text = await readText(join(out, SETTINGS));
    if (text === undefined) return replaceFile(join(out, SETTINGS), piecesOf(`${JSON.stringify(own, null, 2)}\n`));
    let saved: Record<string, unknown>;
    try {
      saved = JSON.parse(text);
    } catch {
      throw new DamagedFile(
        `${join(out, SETTINGS)} is not what a sweep writes. Delete it to go on with what the cells have.`,
      );
    }
    const other = Object.keys(own).filter((name) => !isDeepStrictEqual(saved[name], own[name]));
    if (other.length === 0) return;
    const said = other.map((name) => `${name} is ${JSON.stringify(own[name])}, was ${JSON.stringify(saved[name])}`);
    throw new RangeError(`${out} is of a sweep with other settings: ${said.join('; ')}. Give another --out.`);
  });
}

async function underLock<R>(out: string, work: () => Promise<R>): Promise<R> {
  const lock = await takeLock(join(out, 'sweep.lock'), { what: 'prepares or reports this sweep', ...PATIENCE });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Computes the statistics of the reference once for all processes. */
const referenceOf = (out: string, reference: string, extractor: DirectExtractor, backend: string): Promise<void> =>
  underLock(out, async () => {
    const path = join(out, REFERENCE);
    if (await stat(path).catch(() => undefined)) return;
    if (/\.npz$/i.test(reference)) return writeStatistics(path, await readStatistics(reference));
    const images = await openImages(reference);
    say(`features of ${reference}: ${images.count} images`);
    const algebra = backend === 'tensorflow' ? linearAlgebra() : undefined;
    await writeStatistics(path, (await featuresOf(images, extractor, null, { algebra })).statistics);
  });

async function compute(
  model: LoadedFolder,
  extractor: DirectExtractor,
  cell: Cell,
  { samples, seed, batch, out, ...drawing }: Options,
  backend: string,
): Promise<CellScores> {
  const { w, steps } = cell;
  const began = performance.now();
  const drawer = await drawerOf(model, { ...drawing, ...cell, key: fold(key(seed), 4) });
  const [height, width, channels] = model.image;
  const { classes } = model.conditioning;
  const shown: number[] = [];
  const size = height * width * channels;
  const images: ImageSource = {
    ...{
      data: model.record.name,
      split: `w = ${w}, T = ${steps}`,
      count: samples,
      height,
      width,
      channels,
      stored: false,
    },
    async read(first, atOnce, give) {
      for (let at = first; at < samples; at += atOnce) {
        const labels = Array.from({ length: Math.min(atOnce, samples - at) }, (_, i) => (at + i) % classes);
        const drawn = drawer.draw(at, labels);
        const clipped = clipByValue(drawn, -1, 1);
        drawn.dispose();
        const values = await clipped.data<'float32'>();
        clipped.dispose();
        if (at < SHOWN) shown.push(...values.subarray(0, (SHOWN - at) * size));
        await give(values);
      }
    },
  };
  say(`w = ${w}, T = ${steps}: ${samples} images`);
  try {
    const { evaluation } = await evaluate({
      ...{ data: images, reference: await readStatistics(join(out, REFERENCE)), extractor, batch },
      metrics: extractor.classifier === null ? ['fid'] : ['fid', 'is'],
      ...(backend === 'tensorflow' ? { algebra: linearAlgebra() } : {}),
    });
    const { fid, is = null, isStd = null } = evaluation;
    const shape = [shown.length / size, height, width, channels] as const;
    await writePng(cellFile(out, cell, 'png'), encodePng(imageGrid({ data: shown, shape }, { columns: 20 })));
    const seconds = (performance.now() - began) / 1000;
    say(`w = ${w}, T = ${steps}: Fréchet distance ${(fid as number).toFixed(3)}, ${seconds.toFixed(0)} s`);
    return { w, steps, samples, fid: fid as number, is, isStd, seconds };
  } finally {
    drawer.dispose();
  }
}

/** Writes the tables and pictures of all cells that are done: under the lock, so that whoever ends last sees all. */
const report = (out: string, what: { name: string; subtitle: string }, cells: readonly Cell[]): Promise<CellScores[]> =>
  underLock(out, async () => {
    const found = await Promise.all(cells.map((cell) => scoresOf(out, cell)));
    const rows = found.filter((scores) => scores !== undefined).sort((a, b) => a.steps - b.steps || a.w - b.w);
    if (rows.length > 0) await writeReport(out, rows, what);
    return rows;
  });
