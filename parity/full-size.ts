// pnpm parity:full-size adm-imagenet64: one forward pass of a preset at its published size, here and in PyTorch, from the same weights.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unflatten } from '@logsnr/core';
import { command, lastLines, placed } from '@logsnr/io/node';
import { networkOf, preset, type TimeOptions, timesOf } from '@logsnr/networks';
import { type Network, type Parameters, shapesOf } from '@logsnr/nn';
import { compile, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';

const cli = new Command('parity:full-size')
  .description('Compares one forward pass of a preset at full size with PyTorch’s: output, seconds, memory.')
  .argument('<preset>', 'a DiT or a U-Net of guided-diffusion, such as dit-xl-2 or adm-imagenet64')
  .option('--python <program>', 'a Python with PyTorch', 'python3')
  .option('--runs <n>', 'passes, of which the fastest counts', '3')
  .parse();
const { python, runs } = cli.opts<{ python: string; runs: string }>();

/** What both sides compute from. */
interface Request {
  kind: string;
  config: object;
  runs: number;
  parameters: Record<string, Made>;
  z: Made;
  times: number[];
  labels: number[];
}
/** The number of a tensor, its shape, and the values' scale and middle. */
type Made = [number: number, shape: readonly number[], scale: number, middle: number];

const { network: chosen, image, times: time, classes, checkpoints } = preset(cli.args[0] as string);
const twins = ['dit', 'guided-diffusion'] as const;
if (!time || !['dit', 'unet'].includes(chosen.kind) || !twins.some((twin) => checkpoints.includes(twin)))
  throw new TypeError(`parity/ has no twin of ${cli.args[0]} in PyTorch; give a DiT or one of ADM's U-Nets.`);
const network = networkOf(preset(cli.args[0] as string)) as Network<unknown>;
const shapes = Object.entries(shapesOf(network));
const request: Request = {
  ...chosen,
  runs: Number(runs),
  // A variance of 1/inputs, so that what passes keeps its size; gains about 1.
  parameters: Object.fromEntries(
    shapes.map(([name, shape], i) => {
      const inputs = tf.util.sizeFromShape(shape.slice(0, -1));
      const scale = shape.length > 1 ? Math.sqrt(3 / inputs) : 0.1;
      return [name, [i + 1, shape, scale, name.endsWith('gamma') ? 1 : 0]];
    }),
  ),
  z: [0, [1, ...image], 1, 0],
  times: [500],
  labels: [classes > 207 ? 207 : 0],
};

const peer = await inPytorch(request);
await useBackend({ backend: 'tensorflow', quiet: true });
const own = here(request);
const scale = Math.max(...peer.output.map(Math.abs));
const off = own.output.reduce((worst, y, i) => Math.max(worst, Math.abs(y - (peer.output[i] as number))), 0);
const parameters = shapes.reduce((sum, [, shape]) => sum + tf.util.sizeFromShape([...shape]), 0);
const row = (name: string, { seconds, cpu, peak }: Omit<typeof own, 'output'>) =>
  `| ${name} | ${Math.min(...seconds).toFixed(2)} | ${Math.min(...cpu).toFixed(2)} | ${Math.round(peak)} |`;
console.log(`${cli.args[0]}: ${parameters} parameters, batch 1. Largest difference ${(off / scale).toExponential(1)} of the largest output, ${scale.toFixed(2)}.\n
| | seconds | CPU seconds | most memory, MiB |
| --- | --: | --: | --: |
${row('PyTorch', peer)}
${row('compiled', own)}`);

async function inPytorch(request: Request) {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-full-size-'));
  try {
    const [question, answer] = [join(folder, 'request.json'), join(folder, 'output.bin')];
    writeFileSync(question, JSON.stringify(request));
    const script = new URL('full_size.py', import.meta.url).pathname;
    const { code, out, err, fault } = await command(placed(python), [script, question, answer], { seconds: 900 });
    if (code !== 0) throw new Error(`${python} ${fault || 'failed'}: ${lastLines(err)}`);
    const measured = JSON.parse(out) as { seconds: number[]; cpu: number[]; peak: number };
    return { ...measured, output: new Float32Array(Uint8Array.from(readFileSync(answer)).buffer) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function here({ parameters: made, z, times, labels, runs }: Request) {
  const flat = Object.fromEntries(Object.entries(made).map(([name, of]) => [name, tensor(...of)]));
  const parameters = unflatten<tf.Tensor>(flat) as Parameters;
  const { lambdas } = timesOf(time as TimeOptions);
  const lambda = tf.tensor1d(times.map((t) => lambdas[t] as number));
  const condition = tf.tensor1d(labels, 'int32');
  const forward = compile((z: tf.Tensor) => network.apply(parameters, { z, lambda, condition }));
  const input = tensor(...z);
  const [seconds, cpu]: [number[], number[]] = [[], []];
  let output = new Float32Array();
  for (let run = 0; run <= runs; run++) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    output = tf.tidy(() => forward(input).dataSync() as Float32Array).slice();
    const { user, system } = process.cpuUsage(used);
    // The first records the graph.
    if (run === 0) continue;
    seconds.push((performance.now() - start) / 1000);
    cpu.push((user + system) / 1e6);
  }
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
  return { seconds, cpu, peak, output };
}

/** The numbers of parity/full_size.py. */
function tensor(number: number, shape: readonly number[], scale: number, middle: number): tf.Tensor {
  const values = new Float32Array(tf.util.sizeFromShape([...shape]));
  const first = Math.imul(number, 0x85ebca77);
  for (let i = 0; i < values.length; i++) {
    let x = (Math.imul(i, 0x9e3779b1) + first) | 0;
    x ^= x >>> 15;
    x = Math.imul(x, 0x2c1b3c6d);
    x ^= x >>> 12;
    x = Math.imul(x, 0x297a2d39);
    x ^= x >>> 15;
    values[i] = middle + scale * ((x >>> 8) / 2 ** 23 - 1);
  }
  return tf.tensor(values, [...shape]);
}
