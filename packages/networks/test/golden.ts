import { readFileSync } from 'node:fs';
import { unflatten } from '@logsnr/core';
import { type Module, type NetworkInput, type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** What PyTorch gives: an output, and the gradients of Σ y · dy by z and each parameter, and by λ where it has one. */
export interface Golden {
  readonly output: readonly number[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

export const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'));

/** A number in [−1, 1) that looks random; the scripts that make fixtures have the same. */
function value(number: number, i: number): number {
  const x = Math.sin(12.9898 * (i + 1) + 78.233 * (number + 1)) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}
/** The tensor of a number, of the values that the scripts have. */
export const tensor = (number: number, shape: readonly number[], scale = 1): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, (_, i) => scale * value(number, i)),
    [...shape],
  );

/** What a network is given: z of number 0 with this shape, λ, and its condition. */
export interface GoldenInput {
  readonly z: readonly number[];
  readonly lambda: readonly number[];
  readonly condition?: unknown;
}

/**
 * Holds output and gradients of a network to PyTorch's, to 1e-4 of the largest. Parameter i in the order of the names has the
 * values of number 10 + i, z those of 0 and dy those of 1.
 */
export function expectGolden<C>(
  network: Module<NetworkInput<C>, tf.Tensor>,
  { output, gradients }: Golden,
  { z: shape, lambda, condition }: GoldenInput,
): void {
  tf.tidy(() => {
    const shapes = shapesOf(network);
    const names = Object.keys(shapes).sort();
    const weights = names.map((name, i) => tensor(10 + i, shapes[name] as readonly number[], 0.5));
    const run = (z: tf.Tensor, lambda: tf.Tensor1D, ...own: tf.Tensor[]) => {
      const flat = Object.fromEntries(names.map((name, i) => [name, own[i] as tf.Tensor]));
      return network.apply(unflatten(flat) as Parameters, { z, lambda, condition: condition as C });
    };
    const given = [tensor(0, shape), tf.tensor1d([...lambda]), ...weights] as const;
    const y = run(...given);
    close('output', y, output);
    const all = tf.grads(run as never)([...given], tensor(1, y.shape));
    ['z', 'lambda', ...names].forEach((name, i) => {
      const expected = gradients[name];
      if (expected || name !== 'lambda') close(name, all[i] as tf.Tensor, expected as readonly number[]);
    });
  });
}

function close(what: string, got: tf.Tensor, expected: readonly number[]): void {
  const scale = Math.max(...expected.map(Math.abs), 1e-3);
  expect(got.size, what).toBe(expected.length);
  const worst = Math.max(...got.dataSync().map((x, i) => Math.abs(x - (expected[i] as number))));
  expect(worst / scale, what).toBeLessThan(1e-4);
}
