import { key, normal, normalNumbers, PHILOX_NORMAL, type PhiloxNormalAttrs } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, expect, test, vi } from 'vitest';
import { backendInfo, describe, useBackend } from './backend.js';
import { nativeBackend } from './native.js';

const info = await useBackend({ quiet: true });
const native = info.backend === 'tensorflow';
afterAll(() => useBackend({ quiet: true, backend: info.backend }));

const draw = (attrs: PhiloxNormalAttrs) =>
  tf.tidy(() => (tf.engine().runKernel(PHILOX_NORMAL, {}, attrs as never) as tf.Tensor).dataSync());

test.skipIf(!native)('keyed noise is the same on the native backend as in plain JavaScript', () => {
  for (const seed of [0, 1, 42, 2 ** 32 - 1, 2 ** 40 + 17])
    for (const counter of [0, 1, 1000, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 5, 2 ** 45 + 3]) {
      const attrs = { words: key(seed).words, counter, samples: 3, blocks: 400 };
      const [got, want] = [draw(attrs), normalNumbers(attrs)];
      expect(got.length).toBe(4800);
      const worst = want.reduce((most, value, i) => Math.max(most, Math.abs(value - (got[i] as number))), 0);
      expect(worst, `seed ${seed}, counter ${counter}`).toBeLessThan(1e-6);
    }
});

test.skipIf(!native)('noise of a sample does not depend on the batch it is drawn in', () => {
  tf.tidy(() => {
    const all = normal(key(7), [4, 5, 3]);
    const third = normal(key(7), [1, 5, 3], 2);
    expect(third.dataSync()).toEqual(tf.slice(all, [2, 0, 0], [1, 5, 3]).dataSync());
  });
});

test.skipIf(!native)('drawing noise leaves no tensor behind, neither here nor in the library', () => {
  normal(key(1), [2, 10]).dispose();
  const before = [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
  const noise = normal(key(2), [16, 33]);
  expect(tf.memory().numTensors).toBe((before[0] as number) + 1);
  noise.dispose();
  expect([tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()]).toEqual(before);
});

test('a matrix product, a convolution and their gradients have the values worked out by hand', () => {
  tf.tidy(() => {
    const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    expect([...tf.matMul(a, a).dataSync()]).toEqual([7, 10, 15, 22]);
    const image = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
    const kernel = tf.tensor4d([1, 0, 0, -1], [2, 2, 1, 1]);
    expect([...tf.conv2d(image, kernel, 1, 'valid').dataSync()]).toEqual([-4, -4, -4, -4]);
    const b = tf.tensor2d([5, 6, 7, 8], [2, 2]);
    const [da, db] = tf.grads((x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.matMul(x, y)))([a, b]);
    expect([...(da as tf.Tensor).dataSync()]).toEqual([11, 15, 11, 15]);
    expect([...(db as tf.Tensor).dataSync()]).toEqual([4, 4, 6, 6]);
  });
});

test.skipIf(!native)('the gradients of a convolution have the values worked out by hand', () => {
  tf.tidy(() => {
    const image = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
    const kernel = tf.tensor4d([1, 0, 0, -1], [2, 2, 1, 1]);
    const sum = (x: tf.Tensor, k: tf.Tensor) => tf.sum(tf.conv2d(x as tf.Tensor4D, k as tf.Tensor4D, 1, 'valid'));
    const [dx, dk] = tf.grads(sum)([image, kernel]);
    // Every weight meets four pixels; every pixel meets the weights of the windows that it is in.
    expect([...(dk as tf.Tensor).dataSync()]).toEqual([12, 16, 24, 28]);
    expect([...(dx as tf.Tensor).dataSync()]).toEqual([1, 1, 0, 1, 0, -1, 0, -1, -1]);
  });
});

test('the choice is printed once, and a second call returns the same', async () => {
  const lines: string[] = [];
  vi.stubEnv('LOGSNR_BACKEND', '');
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  try {
    const [other, third] = info.backend === 'cpu' ? (['wasm', 'cpu'] as const) : (['cpu', 'wasm'] as const);
    const first = await useBackend(other);
    expect(tf.getBackend()).toBe(other);
    expect(await useBackend()).toBe(first);
    expect(await useBackend(other)).toBe(first);
    expect(backendInfo()).toBe(first);
    expect(lines).toEqual([`backend: ${other}\n`]);
    const [one, two] = await Promise.all([useBackend({ backend: third, quiet: true }), useBackend(third)]);
    expect(two).toBe(one);
    expect(lines.length).toBe(1);
  } finally {
    spy.mockRestore();
    vi.unstubAllEnvs();
    await useBackend({ backend: info.backend, quiet: true });
  }
  expect(tf.getBackend()).toBe(info.backend);
});

test('a backend that is not known is refused before anything changes', async () => {
  await expect(useBackend('webgl' as never)).rejects.toThrow('backend is "webgl"');
  expect(tf.getBackend()).toBe(info.backend);
});

test('the line says what is used, and why not the first in the order', () => {
  const base = { tensorflow: null, device: 'cpu', threads: 1, reason: null } as const;
  expect(describe({ ...base, backend: 'tensorflow', tensorflow: '2.21.0', threads: 2 })).toBe(
    'backend: tensorflow 2.21.0 (cpu, 2 threads)',
  );
  expect(describe({ ...base, backend: 'tensorflow', tensorflow: '2.21.0', device: 'cuda' })).toBe(
    'backend: tensorflow 2.21.0 (cuda)',
  );
  expect(describe({ ...base, backend: 'wasm', reason: 'no C++ compiler; install g++' })).toBe(
    'backend: wasm — native TensorFlow not available: no C++ compiler; install g++',
  );
});

test('a standard error that cannot be written changes no choice and ends nothing', async () => {
  const write = vi.spyOn(process.stderr, 'write').mockImplementation(() => {
    throw new Error('ENOSPC: no space left on device, write');
  });
  try {
    const other = info.backend === 'wasm' ? 'cpu' : 'wasm';
    expect((await useBackend(other)).backend).toBe(other);
    expect(write).toHaveBeenCalledOnce();
  } finally {
    write.mockRestore();
    await useBackend({ backend: info.backend, quiet: true });
  }
});
