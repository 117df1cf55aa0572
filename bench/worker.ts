// One variant of this project in a process of its own: answers one line of JSON for each line that it is sent.
import { createInterface } from 'node:readline';
import { type Binding, nativeBackend, useBackend } from '@logsnr/tensorflow';
import type { Job, Variant } from './cases.js';
import { countFlops } from './flops.js';
import { load, type Workload } from './workload.js';

type Request = { cmd: 'load'; job: Job } | { cmd: 'turn'; ms: number } | { cmd: 'first' | 'result' | 'memory' };

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
      // Counted operation by operation, on one sample, where there is a card to compare with.
      const one = device === 'cuda' && job.case !== 'sample' ? load({ ...job, batch: 1 }) : undefined;
      const flops = one ? { flops: job.batch * (await countFlops(one.run)) } : {};
      return { parameters: workload.parameters, version: `${backend}: ${version}`, device, ...flops };
    }
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
