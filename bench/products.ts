// pnpm bench:products: times this project's linear maps and attention, with their gradients, against what they are composed of
// from the library's operations, in turns, in time of the processor on one thread.
import { execFileSync } from 'node:child_process';
import { ops } from '@logsnr/nn';
import { useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command, Option } from 'commander';
import { above } from './options.js';
import { median } from './statistics.js';

const FORMS = ['kernel', 'composed', 'table'];

const { rounds, memory } = new Command('bench:products')
  .description('Times linear maps and attention against their forms of the library’s operations, on one thread.')
  .option('--rounds <n>', 'turns that each takes', above('rounds', 1, true), 15)
  .addOption(new Option('--memory <form>').choices(FORMS).hideHelp())
  .parse()
  .opts<{ rounds: number; memory?: string }>();

// TensorFlow reads it when it is loaded.
process.env.TF_NUM_INTRAOP_THREADS = '1';
await useBackend({ backend: 'tensorflow', quiet: memory !== undefined });
if (memory) {
  growth(memory);
  process.exit();
}

type Maker = (method: 'kernel' | 'composed') => () => tf.Tensor;

/** Milliseconds of the processor that a call takes, ours and composed, the first round left out. */
function race(of: Maker): string {
  const racers = [of('kernel'), of('composed')].map((call) => ({ call, times: [] as number[] }));
  const calls = Math.max(2, Math.min(200, Math.round(20 / time(racers[1]?.call as () => tf.Tensor, 2))));
  for (let round = 0; round <= rounds; round++)
    for (const { call, times } of racers) {
      const ms = time(call, calls);
      if (round > 0) times.push(ms);
    }
  const [own = 0, composed = 0] = racers.map(({ times }) => median(times));
  return `${own.toFixed(3)} **${(own / composed).toFixed(2)}**`;
}

function time(call: () => tf.Tensor, calls: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; i++) call().dispose();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / calls;
}

console.log('Milliseconds of the processor, medians; in bold ours over the composed form.');
console.log('| rows,from,to | map | dx | dweight |\n| --- | --: | --: | --: |');
for (const [rows, from, to] of [
  [98, 32, 32],
  [98, 32, 96],
  [392, 64, 32],
  [1024, 64, 192],
  [1024, 128, 384],
  [1024, 1024, 1024],
  [4096, 128, 64],
  [16_384, 96, 32],
  [16_384, 192, 64],
] as const) {
  const [x, dy] = [tf.randomNormal([rows, from]), tf.randomNormal([rows, to])];
  const weight = tf.randomNormal<tf.Rank.R2>([from, to]);
  const map = race((method) => () => ops.linear(x, weight, {}, method));
  const dx = race((method) => () => tf.grad((x) => ops.linear(x, weight, {}, method))(x, dy));
  const dweight = race(
    (method) => () => tf.grad((weight) => ops.linear(x, weight as tf.Tensor2D, {}, method))(weight, dy),
  );
  console.log(`| ${rows},${from},${to} | ${map} | ${dx} | ${dweight} |`);
  tf.dispose([x, dy, weight]);
}
console.log('\nGradients are timed with the forward pass that they need; composed, a map makes both at once.\n');
console.log('| n,tokens,heads,d | attention | with gradient |\n| --- | --: | --: |');
for (const [n, t, heads, d] of [
  [2, 49, 1, 32],
  [2, 64, 1, 128],
  [16, 64, 1, 64],
  [16, 256, 4, 32],
  [1, 1024, 1, 64],
  [1, 4096, 1, 64],
] as const) {
  const [qkv, dy] = [tf.randomNormal<tf.Rank.R3>([n, t, 3 * heads * d]), tf.randomNormal([n, t, heads * d])];
  const forward = race((method) => () => ops.attention(qkv, heads, method));
  const both = race((method) => () => tf.grad((x) => ops.attention(x as tf.Tensor3D, heads, method))(qkv, dy));
  console.log(`| ${n},${t},${heads},${d} | ${forward} | ${both} |`);
  tf.dispose([qkv, dy]);
}
console.log(
  '\nMiB that a new process comes to hold at 1,4096,1,64, most at once: by the kernel, in blocks, by a table of all scores.\n',
);
console.log('| form | attention | with gradient |\n| --- | --: | --: |');
for (const form of FORMS)
  process.stdout.write(
    execFileSync(process.execPath, [...process.execArgv, process.argv[1] as string, '--memory', form]),
  );

/** Attention as its equation is written, one table of all scores at once. */
function table(qkv: tf.Tensor): tf.Tensor {
  const [q, k, v] = tf.split(qkv, 3, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.matMul(tf.softmax(tf.matMul(tf.mul(q, 1 / Math.sqrt(q.shape[2] as number)), k, false, true)), v);
}

/** MiB that the process came to hold, most at once, by attention over 4,096 tokens and by its gradient. */
function growth(form: string): void {
  const attend = (x: tf.Tensor) =>
    form === 'table' ? table(x) : ops.attention(x as tf.Tensor3D, 1, form as ops.AttentionMethod);
  const qkv = tf.randomNormal<tf.Rank.R3>([1, 4096, 3 * 64]);
  const most = () => process.resourceUsage().maxRSS / 1024;
  tf.grad(attend)(tf.slice(qkv, [0, 0, 0], [1, 64, -1])).dispose();
  const start = most();
  tf.tidy(() => attend(qkv)).dispose();
  const forward = most();
  tf.grad(attend)(qkv).dispose();
  console.log(`| ${form} | ${Math.round(forward - start)} | ${Math.round(most() - start)} |`);
}
