import { join } from 'node:path';
import { fold, key } from '@logsnr/core';
import type { DirectExtractor, ImageSource } from '@logsnr/evaluation';
import { evaluate, openExtractor, PACKAGED_CLASSIFIERS, readStatistics } from '@logsnr/evaluation/node';
import { writePng } from '@logsnr/figures';
import { say } from '@logsnr/io/node';
import { linearAlgebra, native, useBackend } from '@logsnr/tensorflow';
import { clipByValue } from '@tensorflow/tfjs-core';
import type { Command } from 'commander';
import { addDrawing, type Drawing, drawerOf } from './methods.js';
import { finite, haveFolder, integer, share } from './options.js';
import { type Cell, type CellScores, cellFile, doCells, isForeign, scoresOf } from './sweep-cells.js';
import { prepareReference, REFERENCE, SETTINGS, settle, underLock } from './sweep-folder.js';
import { openModels, type SweptModel } from './sweep-models.js';
import { cellPicture, SHOWN } from './sweep-pictures.js';
import { type Reported, sweepJson, sweepText, writeReport } from './sweep-report.js';
import type { Row } from './sweep-table.js';

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

/** A cell, and the model that draws it. */
interface Place extends Cell {
  readonly model: SweptModel;
  /** For messages. */
  readonly title: string;
}

/** `logsnr sweep`: FID and Inception Score at many guidance weights and numbers of steps. */
export function addSweep(program: Command): void {
  const command = program
    .command('sweep')
    .description(
      'Fréchet distance and Inception Score at each guidance weight w and number of steps T, of one model or several',
    )
    .argument('<models...>', 'each as of `logsnr sample`')
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
The same command goes on where it was stopped, and with more models, --w or --steps adds their cells. Several models stand side by
side, as in the paper's table of p_uncond; their columns are named p_uncond where they differ in it alone. Several processes may share the folder: each
takes cells that nobody has, and a killed one loses its cell alone. So the tasks of a Slurm array (SLURM_ARRAY_TASK_ID) or of an indexed
Kubernetes job (JOB_COMPLETION_INDEX) run this one command. A lock that a killed task leaves on another machine is named; delete it.

Examples:
  logsnr sweep runs/mnist --w 0,0.5,1,2,3,4 --steps 16,64 --samples 500 --out sweeps/mnist
  logsnr sweep runs/p01 runs/p02 runs/p05 --w 0,0.1,0.3,1,3 --samples 2000 --out sweeps/p-uncond
  sbatch --array=0-7 --wrap "logsnr sweep runs/imagenet64 --reference imagenet.npz --steps 64,256 --samples 50000 --out sweeps/64"`,
    )
    .action(run);
}

async function run(from: string[], options: Options): Promise<void> {
  const { out, json, samples, seed } = options;
  if (await isForeign(out, SETTINGS))
    throw new RangeError(`${out} has files that are not a sweep's; give another --out.`);
  const { backend } = await useBackend({ quiet: json ?? false });
  const models = await openModels(from);
  try {
    const data = dataOf(models, options);
    const named = options.extractor ?? (Object.hasOwn(PACKAGED_CLASSIFIERS, data) ? data : 'inception');
    const reference = options.reference ?? (REFERENCES[data] as string);
    const extractor = await openExtractor(named, backend === 'tensorflow' ? { runtime: native() } : {});
    const { sampler, v, guidance = null, precision } = options;
    await haveFolder(join(out, 'cells'));
    const weights = models.map((model) => model.weights);
    const first = await settle(out, weights, {
      ...{ extractor: extractor.sha256, reference },
      ...{ samples, seed, sampler, v, guidance, precision },
    });
    await prepareReference(out, reference, extractor, backend);
    const cells = models.flatMap((model) => {
      const own = model.weights === first ? { model } : { model, prefix: model.weights.slice(0, 12) };
      const title = models.length > 1 ? `${model.label}, ` : '';
      return options.w.flatMap((w) =>
        options.steps.map((steps): Place => ({ ...own, w, steps, title: `${title}w = ${w}, T = ${steps}` })),
      );
    });
    // What cannot be drawn is said before any work.
    for (const { model, ...cell } of cells) (await drawerOf(model, { ...options, ...cell, key: key(seed) })).dispose();
    const busy = await doCells(out, cells, (cell) => compute(extractor, cell, options, backend));
    const [name = '', ...others] = new Set(models.map(({ record }) => record.name));
    const labels = models.map(({ label }) => label);
    const subtitle = `${others.length === 0 ? name : labels.join(', ')}: ${samples} samples in each cell, ${sampler}, in features of ${extractor.extractor}`;
    const what: Reported = { name: others.length === 0 ? name : '', subtitle, models: labels };
    const rows = await report(out, what, cells);
    const all = sweepJson(rows, what);
    console.log(json ? JSON.stringify(all.tables ? all : all.rows) : sweepText(rows, what));
    if (busy.length > 0)
      say(`${busy.length} of ${cells.length} cells are under way elsewhere; who ends last writes all.`);
  } finally {
    for (const model of models) model.dispose();
  }
}

/** The data that all models were trained on, which the reference follows from. @throws RangeError where there is no one such. */
function dataOf(models: readonly SweptModel[], { reference, extractor }: Options): string {
  const names = [...new Set(models.map(({ record }) => record.data?.name ?? ''))];
  const [data = ''] = names;
  if (reference === undefined && names.length === 1 && REFERENCES[data] === undefined)
    throw new RangeError(
      `"${models[0]?.record.name}" was trained on ${data || 'data that it does not name'}; give --reference: images, or a .npz of statistics.`,
    );
  if (names.length > 1 && (reference === undefined || extractor === undefined))
    throw new RangeError(
      `the models were trained on different data (${names.map((name) => name || 'unnamed').join(', ')}); give --reference and --extractor, which judge all of them.`,
    );
  return data;
}

async function compute(
  extractor: DirectExtractor,
  { model, title, ...cell }: Place,
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
      split: title,
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
  say(`${title}: ${samples} images`);
  try {
    const { evaluation } = await evaluate({
      ...{ data: images, reference: await readStatistics(join(out, REFERENCE)), extractor, batch },
      metrics: extractor.classifier === null ? ['fid'] : ['fid', 'is'],
      ...(backend === 'tensorflow' ? { algebra: linearAlgebra() } : {}),
    });
    const { fid, is = null, isStd = null } = evaluation;
    const shape = [shown.length / size, height, width, channels] as const;
    await writePng(cellFile(out, cell, 'png'), cellPicture(shown, shape));
    const seconds = (performance.now() - began) / 1000;
    say(`${title}: Fréchet distance ${(fid as number).toFixed(3)}, ${seconds.toFixed(0)} s`);
    return { w, steps, samples, fid: fid as number, is, isStd, seconds };
  } finally {
    drawer.dispose();
  }
}

/** Writes the tables and pictures of all cells that are done: under the lock, so that whoever ends last sees all. */
const report = (out: string, what: Reported, cells: readonly Place[]): Promise<Row[]> =>
  underLock(out, async () => {
    const found = await Promise.all(
      cells.map(async (cell) => {
        const scores = await scoresOf(out, cell);
        return scores && { ...scores, model: cell.model.label, prefix: cell.prefix };
      }),
    );
    const place = ({ model }: Row) => what.models.indexOf(model);
    const rows = found
      .filter((scores) => scores !== undefined)
      .sort((a, b) => place(a) - place(b) || a.steps - b.steps || a.w - b.w);
    if (rows.length > 0) await writeReport(out, rows, what);
    return rows;
  });
