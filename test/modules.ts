import { key, normal, unflatten } from '@logsnr/core';
import { type Module, type Parameters, shapesOf } from '@logsnr/nn';
import { backendInfo, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

export { expectNoLeak } from './no-leak.js';

/** Random values of a shape, the same on every backend. */
export const random = <T extends tf.Tensor>(seed: number, ...shape: number[]): T => normal(key(seed), shape) as T;

/** Parameters that are random everywhere, also where fresh ones are constant. */
export const randomised = (module: Pick<Module<never, unknown>, 'parameters'>, first = 100): Parameters => {
  const drawn = Object.entries(shapesOf(module)).map(([path, shape], i) => [
    path,
    tf.tidy(() => tf.mul(random(first + i, ...shape), 0.3)),
  ]);
  return unflatten(Object.fromEntries(drawn)) as Parameters;
};

/** The largest difference relative to the largest expected value. */
export function difference(got: tf.Tensor, expected: tf.Tensor): number {
  expect(got.shape).toEqual(expected.shape);
  return tf.tidy(() => {
    const scale = tf.maximum(tf.max(tf.abs(expected)), 1e-12);
    return tf.div(tf.max(tf.abs(tf.sub(got, expected))), scale).dataSync()[0] as number;
  });
}

/** Runs `work` on another backend, then makes the one before it current again. */
export async function onBackend<T>(backend: 'wasm' | 'cpu', work: () => T | Promise<T>): Promise<T> {
  const before = backendInfo()?.backend ?? 'cpu';
  await useBackend({ backend, quiet: true });
  try {
    return await work();
  } finally {
    await useBackend({ backend: before, quiet: true });
  }
}
