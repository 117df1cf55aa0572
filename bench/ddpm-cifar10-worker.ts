// The training step of DDPM's network for CIFAR-10, compiled: answers one line of JSON for each line that it is sent.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fold, key, unflatten, uniforms } from '@logsnr/core';
import { encodeSafetensors } from '@logsnr/io';
import { describe, networkOf, preset, timesOf } from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { loadParameters, saveParameters } from '@logsnr/pretrained';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { settings } from './cases.js';
import { normals, weightsOf } from './prepare.js';
import { read, training } from './workload.js';

const info = await useBackend({ backend: 'tensorflow', quiet: true });
const runtime = native({ precision: process.argv[2] === 'compiled-bf16' ? 'bfloat16' : 'float32' });
const chosen = preset('ddpm-cifar10');
const network = networkOf(chosen);
let step: () => tf.Tensor;

/** Writes weights, none of them zero, with diffusers' names, and a batch. */
async function prepare(folder: string, batch: number): Promise<object> {
  const values = Object.entries(weightsOf(shapesOf(network))).map(([name, { shape, data }]) => [
    name,
    tf.tensor(data as Float32Array, [...shape]),
  ]);
  const parameters = unflatten(Object.fromEntries(values)) as Parameters;
  const [weights, inputs] = [join(folder, 'weights.safetensors'), join(folder, 'inputs.safetensors')];
  await saveParameters(chosen.network, parameters, weights, { as: 'diffusers' });
  const [shape, k] = [[batch, ...chosen.image], key(2)];
  const x = uniforms(fold(k, 0), batch * 3072).map((u) => 2 * u - 1);
  const t = uniforms(fold(k, 1), batch).map((u) => Math.floor(1000 * u));
  const tensors = {
    x: { shape, data: Float32Array.from(x) },
    eps: normals(fold(k, 2), shape),
    t: { shape: [batch], data: Float32Array.from(t) },
  };
  writeFileSync(inputs, encodeSafetensors({ tensors, metadata: {} }));
  const { multiplyAdds, parameters: count } = describe(network, (n) => ({
    z: tf.zeros([n, ...chosen.image]),
    lambda: tf.zeros([n]),
    condition: tf.zeros([n], 'int32'),
  }));
  return { weights, inputs, multiplyAdds, parameters: count };
}

async function load(weights: string, inputs: string): Promise<object> {
  const { x, eps, t } = read(inputs) as Record<'x' | 'eps' | 't', tf.Tensor>;
  const times = timesOf(chosen.times as NonNullable<typeof chosen.times>);
  const lambda = tf.tensor1d(Array.from(t.dataSync(), times.lambdaOf));
  const none = tf.zerosLike(lambda);
  const given = { x, eps, lambda, labels: tf.cast(none, 'int32'), dropped: none };
  const options = { ...settings, network, prediction: 'eps' as const, classes: 1 };
  step = training(options, await loadParameters(chosen.network, weights), given, runtime);
  return { version: `TensorFlow ${info.tensorflow}, ${info.threads} threads` };
}

/** A step, until its loss is there. */
function turn(): object {
  const start = performance.now();
  const loss = step();
  const [value] = loss.dataSync();
  loss.dispose();
  return { ms: performance.now() - start, loss: value };
}

/** The most memory that this process held, and what it holds. */
function memory(): object {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const [peak, held] = ['VmHWM', 'VmRSS'].map((name) => new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]);
  const { maxRSS } = process.resourceUsage();
  return { peakMiB: Number(peak ?? maxRSS) / 1024, heldMiB: Number(held ?? maxRSS) / 1024 };
}

type Request = { cmd: string; folder: string; batch: number; weights: string; inputs: string };

async function answer({ cmd, folder, batch, weights, inputs }: Request): Promise<object> {
  if (cmd === 'prepare') return prepare(folder, batch);
  if (cmd === 'load') return load(weights, inputs);
  return cmd === 'memory' ? memory() : turn();
}

for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await answer(JSON.parse(line)).catch((error: Error) => ({ error: error.message }))));
