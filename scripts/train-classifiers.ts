// pnpm train-classifiers: trains the classifiers that @logsnr/evaluation carries, on MNIST, Fashion-MNIST and CIFAR-10, and
// writes their weights in half precision to packages/evaluation/weights, with their accuracy on the test set. The same command
// goes on where it was stopped.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fold, type Key, key, uniforms } from '@logsnr/core';
import { type BatchArrays, batchArrays, batchTensors, type ImageSet, shuffledIndices } from '@logsnr/data';
import { cifar10, fashionMnist, mnist } from '@logsnr/data/node';
import { extract } from '@logsnr/evaluation';
import {
  type ClassifierRecord,
  classifierExtractor,
  classifierOf,
  PACKAGED_CLASSIFIERS,
  type PackagedClassifier,
  writeClassifier,
} from '@logsnr/evaluation/node';
import { makeFolder, piecesOf, replaceFile } from '@logsnr/io/node';
import { accuracy } from '@logsnr/metrics';
import { logProbability, type Parameters, shapesOf } from '@logsnr/nn';
import { progressLine, withRun } from '@logsnr/runs';
import { native, useBackend } from '@logsnr/tensorflow';
import { adam, cosineDecay, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';

const text = { type: 'string' as const };
const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    of: { ...text, default: Object.keys(PACKAGED_CLASSIFIERS).join(',') },
    folder: { ...text, default: 'out/classifiers' },
    to: { ...text, default: 'packages/evaluation/weights' },
    steps: text,
  },
});

/** How each is trained: on how many batches of 128 images, each image moved by up to `shift` pixels and, or not, mirrored. */
interface Recipe {
  data: () => Promise<{ train: ImageSet; test: ImageSet }>;
  steps: number;
  shift: number;
  mirror: boolean;
}
const RECIPES: Record<PackagedClassifier, Recipe> = {
  mnist: { data: () => mnist(), steps: 1500, shift: 2, mirror: false },
  'fashion-mnist': { data: () => fashionMnist(), steps: 2000, shift: 2, mirror: true },
  cifar10: { data: () => cifar10(), steps: 2000, shift: 4, mirror: true },
};
const BATCH = 128;

await useBackend({ backend: 'tensorflow' });
for (const name of values.of.split(',') as PackagedClassifier[]) await make(name);

async function make(name: PackagedClassifier): Promise<void> {
  const { data, shift, mirror, steps: usual } = RECIPES[name];
  const steps = Number(values.steps ?? usual);
  const [{ train, test }, seed, network] = [await data(), key(0), classifierOf(PACKAGED_CLASSIFIERS[name])];
  const line = await progressLine({ label: name });
  const parameters = network.init(fold(seed, 0));
  const settings = { name, steps, shift, mirror, batch: BATCH };
  const trained = await withRun(
    { folder: join(values.folder, name), settings, shapes: shapesOf(network), onStep: line.update },
    (run) =>
      optimize<ReturnType<typeof batchTensors>>({
        ...{ parameters, steps, emaDecay: 0.995, runtime: native() },
        inputs(step) {
          const chosen = batchArrays(train, shuffledIndices(fold(seed, 1), train.count, step, BATCH));
          return batchTensors(moved(chosen, fold(seed, 2, step), shift, mirror));
        },
        loss: (weights, { images, labels }) =>
          tf.neg(tf.mean(logProbability(network.apply(weights, images).logits, labels))),
        optimizer: adam({ learningRate: cosineDecay(4e-3), warmup: 100, weightDecay: 0.02 }),
        images: ({ labels }) => labels.size,
        ...run,
      }),
  );
  line.stop();
  const path = join(values.to, `${name}.safetensors`);
  await makeFolder(values.to);
  const weights = {
    name: `${name}-classifier`,
    network: PACKAGED_CLASSIFIERS[name],
    parameters: trained.ema as Parameters,
  };
  await writeClassifier(path, weights, { half: true });
  // As it is read back, in half precision.
  const extractor = await classifierExtractor(path, { runtime: native() });
  const { probabilities } = await extract(extractor.read, test);
  const record: ClassifierRecord = {
    ...{ accuracy: accuracy(probabilities, test.labels), images: test.count, data: `${name} test` },
    ...{ sha256: extractor.sha256, command: `pnpm train-classifiers --of ${name}`, steps, batch: BATCH },
  };
  const index = join(values.to, 'classifiers.json');
  const others = JSON.parse(await readFile(index, 'utf8').catch(() => '{}'));
  await replaceFile(index, piecesOf(`${JSON.stringify({ ...others, [name]: record }, null, 2)}\n`));
  console.log(`${name}: ${(100 * record.accuracy).toFixed(2)} % of ${test.count} test images read right`);
}

/** Each image moved by whole pixels, at most `shift` along either axis, with black where nothing was; and mirrored, or not. */
function moved({ images, labels, shape }: BatchArrays, k: Key, shift: number, mirror: boolean): BatchArrays {
  const [count, height, width, channels] = shape;
  const u = uniforms(k, 3 * count);
  const to = new Float32Array(images.length).fill(-1);
  const offset = (i: number) => Math.floor((u[i] as number) * (2 * shift + 1)) - shift;
  for (let i = 0; i < count; i++) {
    const [down, right, turned] = [offset(3 * i), offset(3 * i + 1), mirror && (u[3 * i + 2] as number) < 0.5];
    for (let y = Math.max(0, down); y < Math.min(height, height + down); y++)
      for (let x = Math.max(0, right); x < Math.min(width, width + right); x++) {
        const [row, column] = [y - down, turned ? width - 1 - (x - right) : x - right];
        const [from, at] = [
          ((i * height + row) * width + column) * channels,
          ((i * height + y) * width + x) * channels,
        ];
        for (let c = 0; c < channels; c++) to[at + c] = images[from + c] as number;
      }
  }
  return { images: to, labels, shape };
}
