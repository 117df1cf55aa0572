import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatten } from '@logsnr/core';
import { DamagedFile, decodeSafetensors, encodeSafetensors, type SafetensorsFile, type Values } from '@logsnr/io';
import type { Parameters as Weights } from '@logsnr/nn';
import type { TrainingState } from '@logsnr/training';
import { adam, disposeState, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';

type Saved = Parameters<typeof saveCheckpoint>[1];

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
    loss: ({ net }: Weights, x: tf.Tensor) => {
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

test('each tensor is fetched once, and all are of one moment', async () => {
  const path = join(folder, 'moment.safetensors');
  const parameters = { a: tf.variable(tf.ones([2])), b: tf.variable(tf.ones([2])) };
  const fetched = vi.spyOn(tf.Tensor.prototype, 'data').mockImplementation(async function (this: tf.Tensor) {
    parameters.b.assign(tf.zeros([2]));
    return this.dataSync() as never;
  });
  try {
    await saveCheckpoint(path, { step: 1, parameters });
    expect(fetched).toHaveBeenCalledTimes(2);
  } finally {
    fetched.mockRestore();
  }
  const { tensors } = decodeSafetensors(await readFile(path));
  expect([...(tensors['parameters.b']?.data ?? [])]).toEqual([1, 1]);
  tf.dispose(parameters);
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
    [{ tensors: { w }, metadata: {} }, /is no checkpoint that this version reads: in its metadata, format: /],
    [{ tensors: { w }, metadata: { format: 'logsnr-checkpoint-1', step: 'two' } }, /in its metadata, step: /],
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

test('metadata of 16 MiB and names such as __proto__ come back', async () => {
  const path = join(folder, 'long.safetensors');
  const before = tf.memory().numTensors;
  const odd = (value: number) =>
    Object.fromEntries(['__proto__', 'constructor', '0'].map((name) => [name, tf.scalar(value)]));
  const state = {
    step: 1,
    parameters: { ...odd(1), deep: odd(2) },
    averages: Object.fromEntries([['__proto__', odd(3)]]),
  };
  const metadata = Object.fromEntries([
    ['long', 'x\\"'.repeat(2 ** 22)],
    ['__proto__', 'text'],
  ]);
  await saveCheckpoint(path, { ...state, metadata });
  const loaded = await loadCheckpoint(path);
  expect(loaded.metadata).toEqual(metadata);
  const values = (tree: unknown) =>
    Object.entries(flatten<tf.Tensor>(tree as tf.Tensor))
      .map(([name, value]) => `${name} ${value.dataSync()}`)
      .sort();
  expect(values(loaded.parameters)).toEqual(values(state.parameters));
  expect(values(loaded.averages)).toEqual(values(state.averages));
  disposeState(state);
  disposeState(loaded);
  expect(tf.memory().numTensors).toBe(before);
});

describe('a checkpoint that could not be read is not written', () => {
  const faults: Readonly<Record<string, [Partial<Saved>, RegExp]>> = {
    'a step that is no number': [{ step: Number.NaN }, /^step is NaN; it must be an integer of at least 0/],
    'a step in between': [{ step: 0.5 }, /^step is 0\.5; it must be/],
    'a step below 0': [{ step: -1 }, /^step is -1; it must be/],
    'seconds without end': [{ seconds: Number.POSITIVE_INFINITY }, /^seconds is Infinity; it must be a finite number/],
    'nine losses of seven steps': [{ losses: Array(9).fill(1) }, /shape \[9\]; of step 7 it has at most 7 losses/],
    'a step skipped that was not taken': [{ skipped: [3, 8] }, /of 7 steps it skipped 3,8/],
    'a step skipped twice': [{ skipped: [3, 3] }, /of 7 steps it skipped 3,3/],
    'a key of other words': [{ key: { words: [1, 2 ** 32] } }, /key\.1: .* received 4294967296/],
    'an average whose name has a dot': [{ averages: { 'a.b': { w: tf.scalar(1) } } }, /"a\.b" under "averages"/],
    'an average without a name': [{ averages: { '': { w: tf.scalar(1) } } }, /"" under "averages"/],
    'metadata that is no text': [{ metadata: JSON.parse('{"a":1}') }, /metadata "a" is a number/],
    'metadata longer than a header': [{ metadata: { a: 'x'.repeat(1e8) } }, /a header has at most 100000000/],
    "the checksum's own name": [{ metadata: { 'logsnr.sha256': '' } }, /"logsnr\.sha256" is the format's own/],
    'a type of its own': [{ parameters: { w: tf.tensor1d([true]) } }, /"parameters\.w" is bool/],
  };
  test.each(Object.entries(faults))('%s', async (_what, [fault, message]) => {
    const own = await mkdtemp(join(folder, 'refused-'));
    const state = { step: 7, parameters: { w: tf.scalar(1) }, ...fault };
    await expect(saveCheckpoint(join(own, 'a'), state)).rejects.toThrow(message);
    await expect(saveCheckpoint(join(own, 'a'), state)).rejects.toThrow(RangeError);
    expect(await readdir(own)).toEqual([]);
    disposeState(state);
  });
});

describe('a file that no writer of ours made is refused by its name', () => {
  const one = { shape: [1], data: Float32Array.of(1) };
  const named = (...names: string[]) => Object.fromEntries(names.map((name) => [name, one]));
  const losses = (shape: number[], data: Values = new Float32Array(shape[0] ?? 1)) => ({
    tensors: { ...named('parameters.w'), 'history.losses': { shape, data } },
  });
  const faults: Readonly<Record<string, [Partial<SafetensorsFile>, RegExp]>> = {
    'step ""': [{ metadata: { step: '' } }, /step: .* received ""/],
    'step 1e400': [{ metadata: { step: '1e400' } }, /step: .*received Infinity/],
    'seconds Infinity': [{ metadata: { seconds: 'Infinity' } }, /seconds: .* received "Infinity"/],
    'nine losses for step 7': [losses([9]), /of step 7 it has at most 7 losses/],
    'losses in a square': [losses([2, 2], new Float32Array(4)), /history\.losses of F32 and shape \[2, 2\]/],
    'losses that are integers': [losses([2], new Int32Array(2)), /history\.losses of I32/],
    'skipped steps that are no list': [{ metadata: { skipped: '{"0":1}' } }, /skipped: expected Array/],
    'skipped steps nested deep': [{ metadata: { skipped: '['.repeat(1e6) } }, /skipped: /],
    'three words of a key': [{ metadata: { key: '1,2,3' } }, /key\.2: expected never/],
    'a later format': [{ metadata: { format: 'logsnr-checkpoint-4' } }, /format: .* received "logsnr-checkpoint-4"/],
    'names that clash': [{ tensors: named('parameters.a', 'parameters.a.b') }, /names that exclude each other/],
    'a name that ends early': [{ tensors: named('parameters.', 'parameters.w') }, /has a tensor "parameters\."/],
    'an average without a name': [{ tensors: named('averages.w') }, /has a tensor "averages\.w"/],
    'a name of many parts': [
      { tensors: named(`parameters${'.a'.repeat(1e5)}`) },
      /has a tensor "parameters\.a\.a.{1,400}$/,
    ],
    'another type': [
      { tensors: { 'parameters.w': { shape: [1], data: Uint8Array.of(1) } } },
      /holds "parameters\.w" as U8; a checkpoint holds F32 and I32/,
    ],
  };
  test.each(Object.entries(faults))('%s', async (_what, [{ tensors, metadata }, message]) => {
    const path = join(folder, 'faulty.safetensors');
    const before = tf.memory().numTensors;
    await writeFile(
      path,
      encodeSafetensors({
        tensors: tensors ?? named('parameters.w'),
        metadata: { format: 'logsnr-checkpoint-2', step: '7', ...metadata },
      }),
    );
    const error = await loadCheckpoint(path).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(DamagedFile);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message.startsWith(path)).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('a checkpoint with one bit changed is refused, wherever the bit is', async () => {
  const path = join(folder, 'flipped.safetensors');
  const parameters = { w: tf.ones([2]) };
  await saveCheckpoint(path, { step: 3, parameters, losses: [1, 2, 3], metadata: { rate: '0.1' } });
  const bytes = await readFile(path);
  for (let bit = 0; bit < 8 * bytes.length; bit += 3) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    await writeFile(path, changed);
    await expect(loadCheckpoint(path)).rejects.toThrow(path);
  }
  tf.dispose(parameters);
});

test('fifty thousand tensors come back; more than a network has are refused', async () => {
  const path = join(folder, 'many.safetensors');
  const empty = { shape: [0], data: new Float32Array(0) };
  const write = (count: number) => {
    const tensors = Object.fromEntries(Array.from({ length: count }, (_, i) => [`averages.a.w${i}`, empty]));
    const metadata = { format: 'logsnr-checkpoint-2', step: '0' };
    return writeFile(path, encodeSafetensors({ tensors, metadata }));
  };
  await write(50_000);
  const loaded = await loadCheckpoint(path);
  expect(Object.keys(loaded.averages?.a ?? {})).toHaveLength(50_000);
  disposeState(loaded);
  await write(2 ** 17 + 1);
  await expect(loadCheckpoint(path)).rejects.toThrow(`${path} has 131073 tensors; a checkpoint has at most 131072.`);
});
