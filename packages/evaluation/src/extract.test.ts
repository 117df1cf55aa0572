import type { ImageSet } from '@logsnr/data';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type Classify, extract } from './index.js';

const bytes = Uint8Array.from({ length: 28 }, (_, i) => (i * 37) % 256);
const set: ImageSet = {
  images: bytes,
  labels: new Uint8Array(7),
  count: 7,
  height: 2,
  width: 2,
  channels: 1,
  classes: 3,
};
/** The four pixels as features; logits 0, the first pixel and twice the second. */
const network: Classify = (images) => {
  const features = tf.reshape(images, [-1, 4]) as tf.Tensor2D;
  const logits = tf.matMul(features, tf.tensor2d([0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0], [4, 3])) as tf.Tensor2D;
  return { features, logits };
};

test('features and probabilities, the same from a set and a tensor and whatever the batch', async () => {
  const images = tf.tensor4d(
    Float32Array.from(bytes, (byte) => byte / 127.5 - 1),
    [7, 2, 2, 1],
  );
  const before = tf.memory().numTensors;
  const seen: [number, number][] = [];
  const found = await extract(network, images, { batch: 3, onProgress: (done, of) => seen.push([done, of]) });
  expect(tf.memory().numTensors).toBe(before);
  expect(seen).toEqual([
    [3, 7],
    [6, 7],
    [7, 7],
  ]);
  expect([found.features.rows, found.features.columns]).toEqual([7, 4]);
  expect([found.probabilities.rows, found.probabilities.columns]).toEqual([7, 3]);
  const pixels = [...images.dataSync()];
  expect(found.features.data).toEqual(pixels);
  for (let i = 0; i < 7; i++) {
    const logits = [0, pixels[4 * i] as number, 2 * (pixels[4 * i + 1] as number)];
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    logits.forEach((logit, c) => {
      expect(found.probabilities.data[3 * i + c]).toBeCloseTo(Math.exp(logit) / total, 6);
    });
  }
  expect(await extract(network, set, { batch: 2 })).toEqual(found);
  expect(await extract(network, set)).toEqual(found);
  images.dispose();
});

test('what cannot be read is refused, and an error leaves no tensors', async () => {
  await expect(extract(network, { ...set, count: 0 })).rejects.toThrow('the number of images is 0');
  await expect(extract(network, set, { batch: 0 })).rejects.toThrow('batch is 0');
  const before = tf.memory().numTensors;
  const broken: Classify = (images) => {
    network(images);
    throw new Error('no weights');
  };
  await expect(extract(broken, set)).rejects.toThrow('no weights');
  expect(tf.memory().numTensors).toBe(before);
});
