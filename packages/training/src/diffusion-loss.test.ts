import { alpha, type Conditioning, type EpsFunction, labels, sigma } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { diffusionLoss } from './diffusion-loss.js';

test('is the mean square of ε_θ(αx + σε, λ, c) − ε, by hand', () => {
  const [x, eps, lambda] = [
    [1, -2, 0.5, 3],
    [0.3, -0.7, 1.1, 0.2],
    [-1.5, 2],
  ];
  // ε_θ = 0.5 z + λ: a model in which z and λ both show.
  let expected = 0;
  for (let i = 0; i < 4; i++) {
    const own = lambda[Math.floor(i / 2)] as number;
    const z = alpha(own) * (x[i] as number) + sigma(own) * (eps[i] as number);
    expected += (0.5 * z + own - (eps[i] as number)) ** 2 / 4;
  }
  const model: EpsFunction<tf.Tensor1D> = (z, l) => tf.add(tf.mul(z, 0.5), tf.reshape(l, [-1, 1]));
  const before = tf.memory().numTensors;
  const inputs = {
    x: tf.tensor2d(x, [2, 2]),
    eps: tf.tensor2d(eps, [2, 2]),
    lambda: tf.tensor1d(lambda),
    condition: labels(2).of([0, 1]),
    dropped: tf.tensor1d([0, 0]),
  };
  const loss = diffusionLoss({ model, conditioning: labels(2), ...inputs });
  expect(loss.shape).toEqual([]);
  expect(loss.dataSync()[0]).toBeCloseTo(expected, 5);
  expect(tf.memory().numTensors).toBe(before + 6);
  tf.dispose([inputs, loss] as unknown as tf.TensorContainer);
});

test('the model sees ∅ where dropped is 1, and the condition elsewhere', () => {
  const seen: number[] = [];
  const model: EpsFunction<tf.Tensor1D> = (z, _lambda, c) => {
    seen.push(...c.dataSync());
    return tf.clone(z);
  };
  tf.tidy(() => {
    const z = tf.zeros([4, 3]);
    const rest = { x: z, eps: z, lambda: tf.zeros([4]) as tf.Tensor1D, dropped: tf.tensor1d([1, 0, 0, 1]) };
    diffusionLoss({ model, conditioning: labels(5), condition: labels(5).of([0, 1, 2, 3]), ...rest });
  });
  expect(seen).toEqual([5, 1, 2, 5]);
});

test('says which input does not fit', () => {
  const conditioning: Conditioning<null> = { drop: (c) => c, nullCondition: (c) => c, concat: (a) => a };
  tf.tidy(() => {
    const z = tf.zeros([4, 3]);
    const n = tf.zeros([4]) as tf.Tensor1D;
    const good = { model: (a: tf.Tensor) => tf.clone(a), conditioning, condition: null, x: z };
    const short = tf.zeros([3]) as tf.Tensor1D;
    expect(() => diffusionLoss({ ...good, eps: n, lambda: n, dropped: n })).toThrow(/eps has shape \[4\]/);
    expect(() => diffusionLoss({ ...good, eps: z, lambda: short, dropped: n })).toThrow(/lambda has shape \[3\]/);
    expect(() => diffusionLoss({ ...good, eps: z, lambda: n, dropped: short })).toThrow(/dropped has shape \[3\]/);
    const flat = { ...good, model: () => tf.zeros([4]) };
    expect(() => diffusionLoss({ ...flat, eps: z, lambda: n, dropped: n })).toThrow(/model's output has shape \[4\]/);
  });
});
