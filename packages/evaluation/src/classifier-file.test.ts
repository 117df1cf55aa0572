import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { free, key } from '@logsnr/core';
import { type ImageSet, subset } from '@logsnr/data';
import { cifar10Batch, fashionMnist, mnist } from '@logsnr/data/node';
import { DamagedFile, encodeSafetensors } from '@logsnr/io';
import { say } from '@logsnr/io/node';
import { accuracy } from '@logsnr/metrics';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { extract } from './extract.js';
import {
  type ClassifierSpec,
  classifierExtractor,
  classifierOf,
  openExtractor,
  PACKAGED_CLASSIFIERS,
  type PackagedClassifier,
  packagedClassifier,
  writeClassifier,
} from './node.js';

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-classifier-'));
});
beforeEach(() => {
  path = join(folder, 'own.safetensors');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const specs: readonly ClassifierSpec[] = [
  { kind: 'conv-classifier', config: { height: 8, width: 8, channels: 3, classes: 4, widths: [4, 8], features: 6 } },
  { kind: 'residual-classifier', config: { height: 8, width: 8, channels: 3, classes: 4, widths: [4, 8], groups: 2 } },
];
const images = () => tf.randomUniform([3, 8, 8, 3], -1, 1, 'float32', 7) as tf.Tensor4D;

test.each(specs)('a $kind in a file gives the features and probabilities of its weights', async (network) => {
  const module = classifierOf(network);
  const parameters = module.init(key(3));
  await writeClassifier(path, { name: 'mine', network, parameters });
  const extractor = await openExtractor(path);
  expect(extractor).toMatchObject({
    ...{ extractor: 'mine', classifier: 'mine', resize: 'none', channels: 3, size: { height: 8, width: 8 } },
    sha256: expect.stringMatching(/^[\da-f]{64}$/),
  });
  const x = images();
  const [found, expected] = [extractor.read(x), module.apply(parameters, x)];
  expect([...found.features.dataSync()]).toEqual([...expected.features.dataSync()]);
  expect([...(found.probabilities as tf.Tensor).dataSync()]).toEqual([...tf.softmax(expected.logits).dataSync()]);
  expectNoLeak(() => Object.values(extractor.read(x)) as tf.Tensor[]);
  const before = tf.memory().numTensors;
  (await classifierExtractor(path)).dispose();
  expect(tf.memory().numTensors).toBe(before);
  // In half precision the file is half as long, the features nearly the same, and its hash another.
  const whole = readFileSync(path).length;
  await writeClassifier(path, { name: 'mine', network, parameters }, { half: true });
  const half = await classifierExtractor(path);
  expect(readFileSync(path).length).toBeLessThan(whole);
  expect(half.sha256).not.toBe(extractor.sha256);
  const off = tf.max(tf.abs(tf.sub(half.read(x).features, expected.features))).dataSync()[0] as number;
  expect(off).toBeGreaterThan(0);
  expect(off).toBeLessThan(0.01);
  extractor.dispose();
  half.dispose();
  free(parameters);
});

const notes = (network: unknown, name: unknown = 'a') => ({ classifier: JSON.stringify({ name, network }) });
const w = { shape: [1], data: Float32Array.of(1) };

test.each<[string, Record<string, string>, RegExp]>([
  ['no notes', {}, /its metadata have no "classifier", which `writeClassifier` writes/],
  ['notes that are no JSON', { classifier: '{' }, /is no JSON/],
  ['another kind', notes({ kind: 'unet', config: {} }), /does not fit: network.kind/],
  ['no name', notes(specs[0], ''), /does not fit: name/],
  [
    'sizes that fit no network',
    notes({ ...specs[0], config: { ...specs[0]?.config, height: 6 } }),
    /height is 6; with 2/,
  ],
  ['no weights', notes(specs[0]), /it has no tensor "conv0\.kernel"/],
])('a file with %s is refused', async (_, metadata, reason) => {
  writeFileSync(path, encodeSafetensors({ tensors: { w }, metadata }));
  const before = tf.memory().numTensors;
  await expect(classifierExtractor(path)).rejects.toThrow(DamagedFile);
  await expect(classifierExtractor(path)).rejects.toThrow(reason);
  await expect(classifierExtractor(path)).rejects.toThrow(path);
  expect(tf.memory().numTensors).toBe(before);
});

test('weights of another shape, and a file cut short, are refused', async () => {
  const [network, other] = specs.map((spec) => ({ ...spec, config: { ...spec.config, classes: 5 } })) as [
    ClassifierSpec,
    ClassifierSpec,
  ];
  const parameters = classifierOf(network).init(key(3));
  await writeClassifier(path, { name: 'a', network: specs[0] as ClassifierSpec, parameters });
  await expect(classifierExtractor(path)).rejects.toThrow('"logits.kernel" has shape [6, 5], not [6, 4]');
  await writeClassifier(path, { name: 'a', network: other, parameters });
  await expect(classifierExtractor(path)).rejects.toThrow('it has no tensor "stem.kernel"');
  truncateSync(path, 1000);
  await expect(classifierExtractor(path)).rejects.toThrow(DamagedFile);
  free(parameters);
});

test('an extractor that nobody knows is refused by name', async () => {
  await expect(openExtractor('vgg')).rejects.toThrow('"vgg" names no extractor; give inception, efficientnet, mnist');
  await expect(openExtractor('mnist', { weights: 'a.pth' })).rejects.toThrow('"mnist" has its own');
});

test.for<[PackagedClassifier, number, () => Promise<ImageSet>]>([
  ['mnist', 0.98, async () => (await mnist()).test],
  ['fashion-mnist', 0.86, async () => (await fashionMnist()).test],
  ['cifar10', 0.74, () => cifar10Batch('test_batch')],
])('the packaged classifier of %s reads as much right as it says', async ([name, least, read], context) => {
  const extractor = await packagedClassifier(name);
  expect(extractor).toMatchObject({ channels: PACKAGED_CLASSIFIERS[name].config.channels, images: 10_000 });
  expect(extractor.accuracy).toBeGreaterThan(least);
  const set = await read().catch((error: unknown) => {
    say(`${name} is not there: ${(error as Error).message}`);
  });
  if (!set) return context.skip();
  const some = subset(set, 2000);
  const { probabilities } = await extract(extractor.read, some);
  expect(Math.abs(accuracy(probabilities, some.labels) - extractor.accuracy)).toBeLessThan(0.04);
  extractor.dispose();
});
