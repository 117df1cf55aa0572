// One variant of this project in a process of its own: answers one line of JSON for each line that it is sent.
import { createInterface } from 'node:readline';
import { eager } from '@logsnr/core';
import { type Binding, native, nativeBackend, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import type { Job, Precision, Variant } from './cases.js';
import { countFlops } from './flops.js';
import { load, type Workload } from './workload.js';

type Request =
  | { cmd: 'load' | 'count'; job: Job }
  | { cmd: 'turn'; ms: number }
  | { cmd: 'first' | 'result' | 'memory' | 'peak' };

const variant = process.argv[2] as Variant;
const precision = variant === 'compiled' ? 'float32' : variant === 'compiled-bf16' ? 'bfloat16' : undefined;
const info = await useBackend({ backend: variant === 'wasm' ? 'wasm' : 'tensorflow', quiet: true });
const inGraph = info.backend === 'tensorflow' ? timeGraphs() : () => 0;
let job: Job;
let workload: Workload;

function timed(): number {
  const start = performance.now();
  workload.run();
  return performance.now() - start;
}

async function answer(request: Request): Promise<object> {
  switch (request.cmd) {
    case 'load': {
      job = request.job;
      workload = load(job, precision);
      const { backend, tensorflow, device, threads } = info;
      const version = tensorflow ? `TensorFlow ${tensorflow}, ${threads} threads` : 'WebAssembly, 1 thread';
      return { parameters: workload.parameters, version: `${backend}: ${version}`, device };
    }
    case 'count': {
      const { case: what, batch, lambdas } = request.job;
      // Of one sample, operation by operation. A guided step asks for two predictions of each.
      const one = load({ ...request.job, case: what === 'sample' ? 'forward' : what, batch: 1 });
      return { flops: batch * (what === 'sample' ? 2 * lambdas.length : 1) * (await countFlops(one.run)) };
    }
    case 'peak':
      return { float32: peakOf('float32'), bfloat16: peakOf('bfloat16') };
    case 'first':
      return { ms: timed() };
    case 'turn': {
      const times: number[] = [];
      const [start, graphs] = [performance.now(), inGraph()];
      do times.push(timed());
      while (performance.now() - start < request.ms);
      const all = times.reduce((sum, time) => sum + time, 0);
      return { times, outside: precision && 1 - (inGraph() - graphs) / all };
    }
    case 'result':
      return { values: workload.result() };
    case 'memory':
      return { peakMiB: process.resourceUsage().maxRSS / 1024 };
  }
}

/** Operations a second of a large matrix product, the best of some. */
function peakOf(precision: Precision): number {
  const n = info.device === 'cuda' ? 8192 : 2048;
  const a = tf.randomNormal([n, n]);
  const runtime = precision === 'bfloat16' ? native({ precision }) : eager;
  const product = runtime.jit((a: tf.Tensor2D) => tf.slice(tf.matMul(a, a), 0, 1));
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    const row = product(a as tf.Tensor2D);
    row.dataSync();
    row.dispose();
    return performance.now() - start;
  });
  a.dispose();
  return (2 * n ** 3) / (Math.min(...times) / 1000);
}

/** Milliseconds spent in graphs so far. */
function timeGraphs(): () => number {
  const backend = nativeBackend();
  const { binding } = backend;
  let spent = 0;
  const runSavedModel: Binding['runSavedModel'] = (...args) => {
    const start = performance.now();
    try {
      return binding.runSavedModel(...args);
    } finally {
      spent += performance.now() - start;
    }
  };
  backend.binding = Object.setPrototypeOf({ runSavedModel }, binding);
  return () => spent;
}

for await (const text of createInterface({ input: process.stdin })) {
  let reply: object;
  try {
    reply = await answer(JSON.parse(text));
  } catch (error) {
    reply = { error: (error as Error).message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
