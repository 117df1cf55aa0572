import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { epsOf } from '@logsnr/core';
import { decodeSafetensors } from '@logsnr/io';
import { loadModel } from '@logsnr/pretrained';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

const folder = fileURLToPath(new URL('../examples/foreign-model/checkpoint', import.meta.url));

test("the example's checkpoint gives PyTorch's ε̂, from the first time to the last and for ∅ too", async () => {
  const { model, times, conditioning, dispose } = await loadModel(folder, { nullLabel: 10 });
  const { tensors } = decodeSafetensors(readFileSync(`${folder}/expected.safetensors`));
  const read = (name: string, type: 'float32' | 'int32' = 'float32') => {
    const { shape, data } = tensors[name] ?? { shape: [], data: new Float32Array() };
    return tf.tensor(data as Float32Array, [...shape], type);
  };
  const [z, labels, expected] = [read('z'), read('labels', 'int32') as tf.Tensor1D, read('eps')];
  const t = [...(tensors.t?.data ?? [])] as number[];
  expect([Math.min(...t), Math.max(...t)]).toEqual([0, 999]);
  const none = conditioning.nullCondition(labels);
  expect([...labels.dataSync()]).toContain(none.dataSync()[0]);
  const lambda = tf.tensor1d(t.map((at) => (times as NonNullable<typeof times>).lambdaOf(at)));
  const eps = epsOf(model)(z, lambda, labels);
  const difference = tf.max(tf.abs(tf.sub(eps, expected))).dataSync()[0];
  expect(difference).toBeLessThan(5e-5);
  // Conditions count: with others it is another ε̂.
  const free = epsOf(model)(z, lambda, none);
  expect(tf.max(tf.abs(tf.sub(free, expected))).dataSync()[0]).toBeGreaterThan(1e-3);
  dispose();
  tf.dispose([z, labels, expected, none, lambda, eps, free]);
});
