// pnpm metric-curves: how FID depends on the number of images, and how FID, KID, precision and recall answer to noise and
// blur, on CIFAR-10, as PNGs in docs/images. Features are kept in --folder: a run that was stopped goes on, a second is fast.
import { parseArgs } from 'node:util';
import { checkChoice, key, uniforms } from '@logsnr/core';
import { type ImageSet, subset } from '@logsnr/data';
import { cifar10Batch } from '@logsnr/data/node';
import { type ImageSource, sourceOf } from '@logsnr/evaluation';
import { evaluate, featuresOf, hashOfImages, inceptionExtractor } from '@logsnr/evaluation/node';
import { lineChart } from '@logsnr/figures';
import { piecesOf, replaceFile, say } from '@logsnr/io/node';
import { frechetInfinity, type Matrix } from '@logsnr/metrics';
import { linearAlgebra, native, useBackend } from '@logsnr/tensorflow';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    folder: { type: 'string', default: 'runs/metric-curves' },
    of: { type: 'string', default: 'number,damage' },
    images: { type: 'string', default: '4000' },
    degraded: { type: 'string', default: '1000' },
    to: { type: 'string', default: 'docs/images' },
  },
});
const { folder } = values;
const [images, degraded] = [Number(values.images), Number(values.degraded)];

await useBackend({ backend: 'tensorflow' });
const algebra = linearAlgebra();
const extractor = await inceptionExtractor({ runtime: native() });
const [train, test] = [await cifar10Batch('data_batch_1'), await cifar10Batch('test_batch')];
const save = (name: string, png: Uint8Array) => replaceFile(`${values.to}/${name}.png`, piecesOf(png));
const tell = (what: string) => (done: number, of: number) => done % 256 === 0 && say(`${what}: ${done} of ${of}`);

const parts = { number: againstImages, damage: againstDamage };
for (const name of values.of.split(',')) {
  checkChoice('--of', name, Object.keys(parts));
  await parts[name as keyof typeof parts]();
}

async function againstImages(): Promise<void> {
  const named = (set: ImageSet, split: string) => sourceOf(subset(set, images), 'CIFAR-10', `${split}:${images}`);
  const read = async (source: ImageSource, keep: boolean) =>
    featuresOf(source, extractor, await hashOfImages(source), {
      folder,
      algebra,
      keep,
      onProgress: tell(`features of ${source.split}`),
    });
  const reference = await read(named(test, 'test_batch'), false);
  const own = await read(named(train, 'data_batch_1'), true);
  const { points, distance, fit } = frechetInfinity(own.features as Matrix, reference.statistics, {
    algebra,
    least: images / 8,
    points: 8,
    onPoint: (point) => console.log(`n ${point.n}: FID ${point.distance.toFixed(3)}`),
  });
  console.log(`FID∞ ${distance.toFixed(3)}, R² ${fit.toFixed(4)}`);
  const chart = lineChart({
    title: 'FID against the number of images',
    subtitle: `CIFAR-10: n of the first ${images} training images, in random order, against the first ${images} test images`,
    x: { label: 'n' },
    y: [{ label: 'FID' }],
    series: [{ name: 'FID', points: points.map(({ n, distance }) => [n, distance]), markers: true }],
  });
  await save('fid-against-n', chart);
}

async function againstDamage(): Promise<void> {
  const reference = sourceOf(subset(test, degraded), 'CIFAR-10', `test_batch:${degraded}`);
  const set = subset(train, degraded);
  // Steps that are wide, of one ratio: four times the noise, twice the blur. They were set after finer ones of 256 images were seen to
  // scatter, and before these were measured.
  const kinds = [
    { name: 'noise', unit: 'deviation of the noise, of 255', levels: [0, 4, 16, 64], damage: withNoise },
    { name: 'blur', unit: 'deviation of the blur, in pixels', levels: [0, 1, 2, 4], damage: blurred },
  ];
  for (const { name, unit, levels, damage } of kinds) {
    const rows: { level: number; fid: number; kid: number; precision: number; recall: number }[] = [];
    for (const level of levels) {
      const data = sourceOf(
        level === 0 ? set : damage(set, level),
        'CIFAR-10',
        `data_batch_1:${degraded}, ${name} ${level}`,
      );
      const { evaluation } = await evaluate({
        ...{ data, reference, extractor, algebra, folder },
        metrics: ['fid', 'kid', 'precision', 'recall'],
        onProgress: ({ what, done, images }) => tell(what)(done, images),
      });
      const { fid = 0, kid = 0, precision = 0, recall = 0 } = evaluation;
      rows.push({ level, fid, kid, precision, recall });
      console.log(
        `${name} ${level}: FID ${fid.toFixed(2)}, KID ${kid.toFixed(4)}, precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`,
      );
    }
    const chart = (of: 'fid' | 'kid' | 'precision' | 'recall', label: string, axis: 0 | 1) => ({
      ...{ name: label, axis, markers: true },
      points: rows.map((row): [number, number] => [row.level, row[of]]),
    });
    const about = {
      title: `Metrics under growing ${name}`,
      subtitle: `${degraded} CIFAR-10 images against ${degraded} others`,
    };
    const distances = [chart('fid', 'FID', 0), chart('kid', 'KID', 1)];
    await save(
      `metrics-${name}-distances`,
      lineChart({ ...about, x: { label: unit }, y: [{ label: 'FID' }, { label: 'KID' }], series: distances }),
    );
    const shares = [chart('precision', 'precision', 0), chart('recall', 'recall', 0)];
    await save(
      `metrics-${name}-shares`,
      lineChart({ ...about, x: { label: unit }, y: [{ label: 'share' }], series: shares }),
    );
  }
}

/** Adds normal noise by the Box–Muller transform, the same at each deviation but for its scale, rounded and clipped to bytes. */
function withNoise(set: ImageSet, deviation: number): ImageSet {
  const u = uniforms(key(7), 2 * set.images.length);
  const normal = (i: number) =>
    Math.sqrt(-2 * Math.log(1 - (u[2 * i] as number))) * Math.cos(2 * Math.PI * (u[2 * i + 1] as number));
  return { ...set, images: Uint8Array.from(set.images, (byte, i) => clipped(byte + deviation * normal(i))) };
}

function clipped(value: number): number {
  return Math.round(Math.min(255, Math.max(0, value)));
}

/** A Gaussian blur along rows and columns; the border's pixels go on beyond it. */
function blurred(set: ImageSet, deviation: number): ImageSet {
  const reach = Math.ceil(3 * deviation);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / deviation) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const { height, width, channels } = set;
  const along = (from: Float64Array, length: number, stride: number): Float64Array =>
    from.map((_, i) => {
      const at = Math.floor(i / stride) % length;
      const line = i - at * stride;
      const seen = (k: number) => from[line + Math.min(length - 1, Math.max(0, at + k - reach)) * stride] as number;
      return weights.reduce((sum, weight, k) => sum + weight * seen(k), 0) / total;
    });
  const columns = along(Float64Array.from(set.images), width, channels);
  return { ...set, images: Uint8Array.from(along(columns, height, width * channels), clipped) };
}
