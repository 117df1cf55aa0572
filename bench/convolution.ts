// pnpm bench:convolution: times the 3×3 convolutions of this project's own against the library's and PyTorch's
// (channels_last), in turns. With one thread the times are of the processor, not of the clock, so a busy machine matters less.
import { CONV_3X3, CONV_3X3_FILTER_GRADIENT, CONV_3X3_INPUT_GRADIENT } from '@logsnr/nn';
import { useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { median } from './statistics.js';
import { here, startProcess, type Worker } from './worker-process.js';

type Size = readonly [n: number, h: number, w: number, from: number, to: number];

const layers: readonly Size[] = [
  [16, 32, 32, 32, 32],
  [16, 16, 16, 64, 64],
  [16, 8, 8, 64, 64],
  [16, 32, 32, 64, 64],
  [16, 16, 16, 128, 128],
  [16, 32, 32, 128, 64],
  [64, 28, 28, 16, 16],
  [64, 14, 14, 32, 32],
  [1, 32, 32, 64, 64],
  [1, 8, 8, 128, 128],
];
/** Few tiles, and tiles that are hardly filled: where the rule of `suitsKernel` in nn comes from. */
const small: readonly Size[] = [
  ...[1, 2, 4, 8, 16].flatMap((n) => [32, 64, 128, 256].map((c): Size => [n, 4, 4, c, c])),
  ...[1, 2, 3, 5, 6, 9].flatMap((h) => [16, 64, 128].map((c): Size => [64, h, h, c, c])),
  // The largest last: the memory that they leave makes the others slower.
  ...[1, 2, 4, 8, 16].map((n): Size => [n, 4, 4, 512, 512]),
];

const options = new Command('bench:convolution')
  .description('Times 3×3 convolutions and their gradients: own, the library, and PyTorch.')
  .option('--torch <python>', 'a Python with PyTorch, to compare with it')
  .option('--threads <n>', 'of each; 1 measures time of the processor', Number, 1)
  .option('--rounds <n>', 'turns that each takes', Number, 9)
  .option('--calls <n>', 'calls a turn', Number, 5)
  .option('--sizes', 'few and small images instead of the layers of the networks', false)
  .parse()
  .opts<{ torch?: string; threads: number; rounds: number; calls: number; sizes: boolean }>();

// TensorFlow reads it when it is loaded.
process.env.TF_NUM_INTRAOP_THREADS = String(options.threads);
await useBackend({ backend: 'tensorflow' });
if (!tf.getKernel(CONV_3X3, 'tensorflow'))
  throw new Error('the operations of this project are not compiled: pnpm run doctor says why.');
const torch = options.torch
  ? startProcess(options.torch, ['-u', here('torch_convolution.py'), String(options.threads)])
  : undefined;

// `frozen` is the forward pass by filters that are transformed beforehand, as in a compiled model that is sampled.
const cases = ['forward', 'frozen', 'dx', 'dkernel'] as const;
type Case = (typeof cases)[number];
type Run = (kernel: string, inputs: Record<string, tf.Tensor>, attrs?: object) => () => tf.Tensor;
const run: Run = (kernel, inputs, attrs) => () => tf.engine().runKernel(kernel, inputs, attrs as never);

/** What is timed of a size: own, the library's. */
function racers([n, h, w, from, to]: Size) {
  const [x, dy, kernel] = [
    [n, h, w, from],
    [n, h, w, to],
    [3, 3, from, to],
  ].map((shape) => tf.randomNormal(shape)) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const nothing = tf.tensor1d([]);
  const plain = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
  const filters = run('LogsnrConv3x3Filters', { kernel }, { turned: false })();
  const own: Record<Case, () => tf.Tensor> = {
    frozen: run('LogsnrConv3x3Transformed', { x, filters, bias: nothing, residual: nothing }, { to }),
    forward: run(CONV_3X3, { x, kernel, bias: nothing, residual: nothing }),
    dx: run(CONV_3X3_INPUT_GRADIENT, { dy, kernel }),
    dkernel: run(CONV_3X3_FILTER_GRADIENT, { x, dy }),
  };
  const library: Record<Case, () => tf.Tensor> = {
    forward: run('Conv2D', { x, filter: kernel }, plain),
    frozen: run('Conv2D', { x, filter: kernel }, plain),
    dx: run('Conv2DBackpropInput', { dy, filter: kernel }, { ...plain, inputShape: x.shape }),
    dkernel: run('Conv2DBackpropFilter', { x, dy }, { ...plain, filterShape: kernel.shape }),
  };
  return { own, library, dispose: () => tf.dispose([x, dy, kernel, nothing, filters]) };
}

/** The threads of the one that ran spin for a while before they sleep. */
const pause = () => new Promise((done) => setTimeout(done, options.threads > 1 ? 100 : 0));

const now = (): number => {
  if (options.threads > 1) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function turn(call: () => tf.Tensor): number[] {
  return Array.from({ length: options.calls }, () => {
    const start = now();
    const result = call();
    const ms = now() - start;
    result.dispose();
    return ms;
  });
}

async function measure(size: Size, torch: Worker | undefined): Promise<string> {
  const { own, library, dispose } = racers(size);
  await torch?.request({ size }, 60_000);
  const cells = [size.join(',')];
  for (const name of cases) {
    const times: Record<'own' | 'library' | 'torch', number[]> = { own: [], library: [], torch: [] };
    for (let round = 0; round <= options.rounds; round++) {
      await pause();
      const a = turn(own[name]);
      await pause();
      const b = turn(library[name]);
      await pause();
      const c = torch
        ? await torch.request<{ times: number[] }>({ case: name, calls: options.calls }, 60_000)
        : undefined;
      // The first round warms up.
      if (round === 0) continue;
      times.own.push(...a);
      times.library.push(...b);
      times.torch.push(...(c?.times ?? []));
    }
    const mine = median(times.own);
    const ratio = (other: number[]) => `${median(other).toFixed(3)} **${(mine / median(other)).toFixed(2)}**`;
    cells.push(mine.toFixed(3), ratio(times.library), ...(torch ? [ratio(times.torch)] : []));
  }
  dispose();
  return `| ${cells.join(' | ')} |`;
}

const rivals = ['library', ...(torch ? ['torch'] : [])];
const head = ['n,h,w,from,to', ...cases.flatMap((name) => [name, ...rivals])];
console.log(
  `Milliseconds of ${options.threads === 1 ? 'the processor' : 'the clock'}, medians; in bold own over the rival.`,
);
console.log(`| ${head.join(' | ')} |\n| ${head.map((_, i) => (i ? '--:' : '---')).join(' | ')} |`);
for (const size of options.sizes ? small : layers) console.log(await measure(size, torch));
torch?.stop();
