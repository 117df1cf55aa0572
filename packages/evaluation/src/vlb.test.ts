import { alpha, fold, gaussianMixture, key, labels, normal, normalNumbers, sigma } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { vlb } from './vlb.js';

const [m, s] = [0.3, 0.4];
const bits = (nats: number) => nats / Math.LN2;

test('with the exact model of a Gaussian the terms are the closed ones, and the bound is its entropy', async () => {
  const { model } = gaussianMixture([{ mean: [m, m], std: s }]);
  const n = 4000;
  const x = tf.tidy(() => tf.add(tf.mul(normal(key(1), [n, 2]), s), m));
  const condition = labels(1).of(new Array(n).fill(0));
  const before = tf.memory().numTensors;
  const [lambdaMin, lambdaMax] = [-12, 8];
  const found = await vlb({ model, x, condition, lambdaMin, lambdaMax, levels: 'continuous', draws: 40, key: key(2) });
  expect(tf.memory().numTensors).toBe(before);
  // E‖ε̂ − ε‖² = α²s²/(α²s² + σ²) a dimension, whose integral over λ is ln(1 + s² e^λ).
  const diffusion = 0.5 * Math.log((1 + s * s * Math.exp(lambdaMax)) / (1 + s * s * Math.exp(lambdaMin)));
  const [a2, s2] = [alpha(lambdaMin) ** 2, sigma(lambdaMin) ** 2];
  const prior = 0.5 * (a2 * (s * s + m * m) + s2 - 1 - Math.log(s2));
  expect(Math.abs(found.diffusion / bits(diffusion) - 1)).toBeLessThan(0.01);
  expect(Math.abs(found.prior - bits(prior))).toBeLessThan(0.05 * bits(prior));
  const entropy = 0.5 * Math.log(2 * Math.PI * Math.E * s * s);
  expect(Math.abs(found.total - bits(entropy))).toBeLessThan(0.03);
  expect(found.total).toBeCloseTo(found.prior + found.diffusion + found.reconstruction, 12);
  // A wrong model pays: ε̂ = 0 has E‖ε̂ − ε‖² = 1.
  const zero = await vlb({ model: (z) => tf.zerosLike(z), x, condition, lambdaMin, lambdaMax, key: key(2) });
  expect(Math.abs(zero.diffusion / bits(0.5 * (lambdaMax - lambdaMin)) - 1)).toBeLessThan(0.02);
  tf.dispose([x, condition]);
});

test('the discrete reconstruction, by hand over three levels', async () => {
  const lambda = 1;
  const levels = [-1, 0, 1];
  const values = [-1, 0, 1, 1, 0, -1, -1, 1];
  const x = tf.tensor2d(values, [4, 2]);
  const condition = labels(1).of([0, 0, 0, 0]);
  const zero = (z: tf.Tensor) => tf.zerosLike(z);
  const { reconstruction } = await vlb({
    model: zero,
    x,
    condition,
    lambdaMin: -1,
    lambdaMax: lambda,
    levels: 3,
    key: key(5),
  });
  // The noise of the term: key folded with 2.

  const noise = normalNumbers({ words: fold(key(5), 2).words, counter: 0, samples: 4, blocks: 1 });
  let expected = 0;
  values.forEach((value, i) => {
    const z = alpha(lambda) * value + sigma(lambda) * (noise[4 * Math.floor(i / 2) + (i % 2)] as number);
    const density = (level: number) => Math.exp(-0.5 * ((z - alpha(lambda) * level) / sigma(lambda)) ** 2);
    expected -= Math.log(density(value) / levels.reduce((sum, level) => sum + density(level), 0)) / values.length;
  });
  expect(reconstruction).toBeCloseTo(bits(expected), 5);
  // Where hardly any noise is left, a pixel says its level.
  const clean = await vlb({ model: zero, x, condition, lambdaMax: 14, levels: 3, key: key(5) });
  expect(Math.abs(clean.reconstruction)).toBeLessThan(1e-5);
  await expect(vlb({ model: zero, x, condition, levels: 1, key: key(1) })).rejects.toThrow(/levels is 1/);
  await expect(vlb({ model: zero, x, condition, lambdaMin: 14, key: key(1) })).rejects.toThrow(/must be below/);
  tf.dispose([x, condition]);
});
