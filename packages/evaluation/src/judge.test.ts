import { fold, key, tensorsOf, uniforms } from '@logsnr/core';
import { batch, type ImageSet, shuffledIndices } from '@logsnr/data';
import { convClassifier } from '@logsnr/networks';
import { logProbability } from '@logsnr/nn';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { judgeBy, judgeOf, trainJudge } from './index.js';

/** Noise that is bright in one of the four quarters, which is the class. */
function quarters(seed: number, count: number): ImageSet {
  const noise = uniforms(key(seed), count * 64);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 4);
  const images = Uint8Array.from(noise, (u, i) => {
    const [row, column] = [Math.floor((i % 64) / 8), i % 8];
    const lit = 2 * Math.floor(row / 4) + Math.floor(column / 4) === labels[Math.floor(i / 64)];
    return 100 * u + (lit ? 150 : 0);
  });
  return { images, labels, count, height: 8, width: 8, channels: 1, classes: 4 };
}
const [train, held] = [quarters(1, 512), quarters(2, 200)];

test('a trained judge knows its classes, and scores images by them', async () => {
  const before = tf.memory().numTensors;
  const state = await trainJudge({ data: train, key: key(3), steps: 60, batch: 32, runtime: native() });
  const judge = await judgeOf(state.parameters, held);
  expect(judge.accuracy).toBeGreaterThan(0.98);
  const own = await judge.score(held, held.labels);
  // The same classifier that gives probabilities is the same judge; one that gives none is refused.
  const network = convClassifier({ height: 8, width: 8, channels: 1, classes: 4 });
  const read = (images: tf.Tensor4D) => network.apply(state.parameters, images);
  const shares = (images: tf.Tensor4D) => {
    const { features, logits } = read(images);
    return { features, probabilities: tf.softmax(logits) };
  };
  expect(await (await judgeBy(shares, held)).score(held, held.labels)).toEqual(own);
  const none = (images: tf.Tensor4D) => ({ features: read(images).features, probabilities: null });
  await expect(judgeBy(none, held)).rejects.toThrow('no class probabilities');
  expect(own.fid).toBeLessThan(1e-6);
  expect(own.is).toBeGreaterThan(3.5);
  expect(own.accuracy).toBe(judge.accuracy);
  // Other images of the same kind are near; noise is far, and shows no class.
  const wrong = held.labels.map((label) => (label + 1) % 4);
  const others = await judge.score(quarters(4, 200), wrong);
  expect(others.accuracy).toBeLessThan(0.02);
  const noise = tf.tensor4d(
    Float32Array.from(uniforms(key(5), 200 * 64), (u) => 2 * u - 1),
    [200, 8, 8, 1],
  );
  const far = await judge.score(noise, held.labels);
  expect(far.fid).toBeGreaterThan(20 * others.fid);
  expect(far.is).toBeLessThan(own.is - 1);
  const { features } = await judge.extract(noise);
  expect([features.rows, features.columns]).toEqual([200, judge.reference.mean.length]);
  tf.dispose([noise, state as unknown as tf.TensorContainer]);
  expect(tf.memory().numTensors).toBe(before);
});

test('training that was stopped goes on to the same weights', async () => {
  const options = { data: train, key: key(6), steps: 12, batch: 16 };
  const whole = await trainJudge(options);
  const stop = new AbortController();
  const half = await trainJudge({
    ...options,
    signal: stop.signal,
    onStep: ({ step }) => {
      if (step === 5) stop.abort();
    },
  });
  expect(half.step).toBe(5);
  const rest = await trainJudge({ ...options, from: half });
  const weights = (state: typeof whole) => tensorsOf(state.parameters).flatMap((p) => [...p.dataSync()]);
  expect(weights(rest)).toEqual(weights(whole));
  expect(rest.losses).toEqual(whole.losses);
  tf.dispose([whole, half, rest] as unknown as tf.TensorContainer);
});

test('the first weights and the order of the data have a key each', async () => {
  const { losses, ...state } = await trainJudge({ data: train, key: key(7), steps: 1, batch: 64 });
  const network = convClassifier({ height: 8, width: 8, channels: 1, classes: 4 });
  const weights = network.init(fold(key(7), 0));
  const firstLoss = (order: number) => {
    const { images, labels } = batch(train, shuffledIndices(fold(key(7), order), train.count, 0, 64));
    return tf.mean(logProbability(network.apply(weights, images).logits, labels)).dataSync()[0] as number;
  };
  expect(losses[0]).toBeCloseTo(-firstLoss(1), 5);
  expect(losses[0]).not.toBeCloseTo(-firstLoss(0), 3);
  tf.dispose([state, weights] as unknown as tf.TensorContainer);
});
