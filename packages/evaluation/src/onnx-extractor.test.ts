import type { ImageSet } from '@logsnr/data';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type OnnxExtractorOptions, onnxExtractor, sourceOf } from './index.js';
import { evaluate } from './node.js';

/** What a session of onnxruntime does, for the network that takes each channel's mean. */
const session = (dims: (n: number) => number[] = (n) => [n, 3, 1, 1]) => ({
  inputNames: ['images'],
  outputNames: ['pool', 'classes'],
  async run(feeds: Readonly<Record<string, { data: Float32Array; dims: number[] }>>) {
    const { data = new Float32Array(0), dims: given = [] } = feeds.images ?? {};
    const [n = 0, c = 0, h = 0, w = 0] = given;
    const pool = Float32Array.from({ length: n * c }, (_, i) =>
      data.subarray(i * h * w, (i + 1) * h * w).reduce((sum, value) => sum + value / (h * w), 0),
    );
    const classes = Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? 0.25 : 0.75));
    return { pool: { data: pool, dims: dims(n) }, classes: { data: classes, dims: [n, 2] } };
  },
});
const options: OnnxExtractorOptions = {
  ...{ session: session(), tensor: (data: Float32Array, dims: readonly number[]) => ({ data, dims }) },
  ...{ extractor: 'means', sha256: 'ab', resize: 'halved', features: 'pool', probabilities: 'classes' },
  prepare: (images: tf.Tensor4D) => tf.avgPool(images, 2, 2, 'valid'),
};

test('images go in as planes, prepared, and the outputs come out by their names', async () => {
  const extractor = onnxExtractor(options);
  const images = tf.randomUniform([5, 4, 6, 3], -1, 1, 'float32', 3) as tf.Tensor4D;
  const before = tf.memory().numTensors;
  const { features, probabilities } = await extractor.read(images);
  expect(tf.memory().numTensors).toBe(before + 2);
  const means = tf.mean(images, [1, 2]).dataSync();
  features.dataSync().forEach((value, i) => {
    expect(value).toBeCloseTo(means[i] as number, 6);
  });
  expect([...(probabilities?.dataSync() ?? [])].slice(0, 2)).toEqual([0.25, 0.75]);
  expect(extractor.classifier).toBe('means');
  expect(onnxExtractor({ ...options, probabilities: undefined }).classifier).toBeNull();
});

test('it judges images', async () => {
  const set = (seed: number): ImageSet => ({
    images: Uint8Array.from({ length: 40 * 48 }, (_, i) => (i * i * seed) % 256),
    ...{ labels: new Uint8Array(40), count: 40, height: 4, width: 4, channels: 3, classes: 1 },
  });
  const given = { extractor: onnxExtractor(options), metrics: ['fid', 'is'] as const, batch: 16 };
  const before = tf.memory().numTensors;
  const { evaluation } = await evaluate({ data: sourceOf(set(7), 'a'), reference: sourceOf(set(11), 'b'), ...given });
  expect(tf.memory().numTensors).toBe(before);
  expect(evaluation.fid).toBeGreaterThan(0);
  expect([evaluation.is, evaluation.classifier]).toEqual([1, 'means']);
});

test.each<[string, Partial<OnnxExtractorOptions>, string]>([
  [
    'two inputs',
    { session: { ...session(), inputNames: ['a', 'b'] } },
    'means has the inputs a, b; an extractor has one',
  ],
  ['another output', { features: 'logits' }, 'means has no output "logits"; it has pool, classes.'],
])('a session with %s is refused', (_, change, message) => {
  expect(() => onnxExtractor({ ...options, ...change })).toThrow(message);
});

test.each<[string, (n: number) => number[], string]>([
  ['pixels left', () => [1, 3, 5, 1], '"pool" of means is [1, 3, 5, 1]; it must be float32 [n, d]'],
  ['other rows', (n) => [3, n], '"pool" of means has 3 rows for 5 images'],
])('an output with %s is refused', async (_, dims, message) => {
  const images = tf.zeros([5, 4, 4, 3]) as tf.Tensor4D;
  const before = tf.memory().numTensors;
  await expect(onnxExtractor({ ...options, session: session(dims) }).read(images)).rejects.toThrow(message);
  expect(tf.memory().numTensors).toBe(before);
});
