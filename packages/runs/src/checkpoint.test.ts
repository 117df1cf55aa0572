import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatten } from '@logsnr/core';
import { decodeSafetensors, encodeSafetensors } from '@logsnr/io';
import type { Parameters } from '@logsnr/nn';
import type { TrainingState } from '@logsnr/training';
import { adam, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-checkpoint-'));
});
afterAll(() => rm(folder, { recursive: true }));

const free = (...states: TrainingState[]) => {
  for (const { parameters, ema, optimizer } of states)
    tf.dispose([parameters, ema ?? {}, optimizer ?? {}] as unknown as tf.TensorContainer);
};

const numbers = (state: TrainingState) =>
  (['parameters', 'ema', 'optimizer'] as const).map((part) =>
    Object.entries(flatten<tf.Tensor>(state[part] ?? {})).map(([name, value]) => [
      name,
      value.dtype,
      value.shape,
      [...value.dataSync()],
    ]),
  );

test('a run goes on from a file as if it had never stopped', async () => {
  const parameters = { net: { w: tf.tensor2d([[0.1, 2]]), b: tf.scalar(5) } };
  const options = {
    loss: ({ net }: Parameters, x: tf.Tensor) => {
      const { w, b } = net as Record<'w' | 'b', tf.Tensor>;
      return tf.add(tf.sum(tf.square(tf.sub(w, x))), tf.square(b));
    },
    inputs: (step: number) => tf.tensor1d([step, -step]),
    optimizer: adam({ learningRate: 0.1 }),
    emaDecay: 0.9,
  };
  const before = tf.memory().numTensors;
  const half = await optimize({ ...options, parameters, steps: 3 });
  const path = join(folder, 'run.safetensors');
  const held = tf.memory().numTensors;
  await saveCheckpoint(path, { ...half, metadata: { network: '{"width":8}' } });
  expect(tf.memory().numTensors).toBe(held);
  const loaded = await loadCheckpoint(path, { shapes: { 'net.w': [1, 2], 'net.b': [] } });
  expect(tf.memory().numTensors).toBe(held + 2 + 2 + 4);
  expect(loaded.metadata).toEqual({ network: '{"width":8}' });
  expect(loaded.step).toBe(3);
  expect(numbers(loaded)).toEqual(numbers(half));

  const [whole, rest] = [
    await optimize({ ...options, parameters, steps: 8 }),
    await optimize({ ...options, from: loaded, steps: 8 }),
  ];
  expect(rest.losses).toEqual(whole.losses);
  expect(numbers(rest)).toEqual(numbers(whole));
  free(half, loaded, whole, rest);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose(parameters as never);
});

test('a write that fails leaves the old file and no other', async () => {
  const own = await mkdtemp(join(folder, 'atomic-'));
  const path = join(own, 'a.safetensors');
  const good = { w: tf.ones([2]) };
  await saveCheckpoint(path, { step: 1, parameters: good });
  const before = await readFile(path);
  const gone = { w: tf.ones([2]), x: tf.ones([2]) };
  gone.x.dispose();
  await expect(saveCheckpoint(path, { step: 2, parameters: gone })).rejects.toThrow(/disposed/);
  expect(await readFile(path)).toEqual(before);
  expect(await readdir(own)).toEqual(['a.safetensors']);
  await saveCheckpoint(path, { step: 2, parameters: good });
  expect(decodeSafetensors(await readFile(path)).metadata.step).toBe('2');
  expect(await readdir(own)).toEqual(['a.safetensors']);
  tf.dispose([good, gone.w] as unknown as tf.TensorContainer);
});

test('refuses, before any tensor is made, what does not fit', async () => {
  const parameters = { a: { w: tf.ones([2, 3]), old: tf.ones([1]) } };
  const path = join(folder, 'other.safetensors');
  await saveCheckpoint(path, { step: 0, parameters });
  const before = tf.memory().numTensors;
  const load = loadCheckpoint(path, { shapes: { 'a.w': [3, 2], 'a.new': [4] } });
  await expect(load).rejects.toThrow(
    [
      `the parameters in ${path} do not fit the network; build it with the settings it was trained with.`,
      'wrong shape: a.w is [2, 3], must be [3, 2]',
      'missing: a.new [4]',
      'unexpected: a.old [1]',
    ].join('\n  '),
  );
  const w = { shape: [1], data: Float32Array.of(1) };
  const cases = [
    [{ tensors: { w }, metadata: {} }, /is no checkpoint of this kind/],
    [{ tensors: { w }, metadata: { format: 'logsnr-checkpoint-1', step: 'two' } }, /is no checkpoint of this kind/],
    [{ tensors: { w }, metadata: { format: 'logsnr-checkpoint-1', step: '2' } }, /has a tensor "w"; names in a/],
  ] as const;
  for (const [contents, message] of cases) {
    await writeFile(path, encodeSafetensors(contents));
    await expect(loadCheckpoint(path)).rejects.toThrow(message);
    await expect(loadCheckpoint(path)).rejects.toThrow(path);
  }
  await writeFile(path, 'short');
  await expect(loadCheckpoint(path)).rejects.toThrow(`${path} has 5 bytes`);
  await expect(saveCheckpoint(path, { step: 0, parameters, metadata: { step: '4' } })).rejects.toThrow(/"step" is the/);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose(parameters as never);
});
