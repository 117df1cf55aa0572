import { readFileSync } from 'node:fs';
import { unflatten } from '@logsnr/core';
import { type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { unet } from './unet.js';

const golden = JSON.parse(readFileSync(new URL('../test/fixtures/unet.json', import.meta.url), 'utf8'));

/** A number in [−1, 1) that looks random; bench/torch_golden.py has the same. */
function value(number: number, i: number): number {
  const x = Math.sin(12.9898 * (i + 1) + 78.233 * (number + 1)) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}
const tensor = (number: number, shape: number[], scale = 1): tf.Tensor =>
  tf.tensor(
    Float32Array.from(
      { length: shape.reduce((product, size) => product * size, 1) },
      (_, i) => scale * value(number, i),
    ),
    shape,
  );

test('outputs and gradients are those of the same network in PyTorch', () => {
  const network = unet(golden.config);
  const names = Object.keys(golden.shapes);
  expect(Object.keys(shapesOf(network)).sort()).toEqual(names);
  const weights = names.map((name, i) => tensor(10 + i, golden.shapes[name], 0.5));
  const [z, lambda] = [tensor(0, [3, 8, 4, 2]), tf.tensor1d(golden.noise)];
  const condition = tf.tensor1d(golden.condition, 'int32');
  const run = (z: tf.Tensor, lambda: tf.Tensor1D, ...own: tf.Tensor[]) => {
    const parameters = unflatten(Object.fromEntries(names.map((name, i) => [name, own[i] as tf.Tensor]))) as Parameters;
    return network.apply(parameters, { z, lambda, condition });
  };
  const close = (what: string, got: tf.Tensor, expected: number[]) => {
    const scale = Math.max(...expected.map(Math.abs), 1e-3);
    got.dataSync().forEach((x, i) => {
      expect(Math.abs(x - (expected[i] as number)) / scale, what).toBeLessThan(1e-4);
    });
  };
  close('output', run(z, lambda, ...weights), golden.output);
  const gradients = tf.grads(run as never)([z, lambda, ...weights], tensor(1, [3, 8, 4, 2]));
  ['z', 'lambda', ...names].forEach((name, i) => {
    close(name, gradients[i] as tf.Tensor, golden.gradients[name]);
  });
});
