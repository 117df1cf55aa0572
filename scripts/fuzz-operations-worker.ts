// The process in which fuzz.ts runs cases of native operations: `fuzz-operations-worker.ts SEED FIRST END UNTIL [OPERATIONS]`.
// It prints a case before it runs it, and the outcome after it. OPERATIONS is a file to take the native operations from.

import { writeSync } from 'node:fs';
import { normalNumbers, PHILOX_NORMAL, type PhiloxNormalAttrs } from '@logsnr/core';
import {
  ADAM,
  type AdamAttrs,
  ATTENTION,
  ATTENTION_GRADIENT,
  type AttentionAttrs,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  type GroupNormAttrs,
  LINEAR,
  LINEAR_INPUT_GRADIENT,
  ops,
  PHILOX_UNIFORM,
} from '@logsnr/nn';
import { useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { adamStep } from '../packages/training/src/adam-step.js';
import { caseOf, describe, FILTERS, fits, type Input, linears, TRANSFORMED } from './fuzz-operations-cases.js';

const [seed = 0, first = 0, end = 0, until = 0] = process.argv.slice(2, 6).map(Number);
const operations = process.argv[6];
if (operations) {
  const own = process.dlopen;
  process.dlopen = (module: object, file: string, flags?: number) =>
    own.call(process, module, /[\\/]operations\.node$/.test(file) ? operations : file, flags);
}
await useBackend({ backend: 'tensorflow', quiet: true });

type Tensors = Record<string, tf.Tensor>;
const run = (kernel: string, inputs: Tensors, attrs: unknown): tf.Tensor[] =>
  [tf.engine().runKernel(kernel, inputs, attrs as never)].flat() as tf.Tensor[];

const noise = normalNumbers({ words: [seed, 1], counter: 0, samples: 1, blocks: 1 << 13 });
const positive = ['v', 'epsilon', 'rstd'];

function tensorOf(name: string, { shape, dtype }: Input, at: number): tf.Tensor {
  const values = Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, (_, i) => {
    const value = noise[(997 * at + i) % noise.length] as number;
    return positive.includes(name) ? Math.abs(value) + 0.01 : value;
  });
  const tensor = tf.tensor(values, [...shape], 'float32');
  return dtype === 'float32' ? tensor : tf.cast(tensor, dtype);
}

/** What a kernel is held against: outputs composed of other operations, null where they are to be left out. */
type Composed = (tf.Tensor | null)[];

function normComposed({ dy, x, ...rest }: Tensors, { groups, silu, epsilon }: GroupNormAttrs): Composed {
  const { gamma, beta, bias, scale, shift } = rest as Record<'gamma' | 'beta' | 'bias' | 'scale' | 'shift', tf.Tensor>;
  const input = x as tf.Tensor4D;
  const [n, , , c] = input.shape;
  const there = [bias, scale, shift].map(({ size, rank }) => size > 0 || rank > 1);
  // What is left out is 0 here.
  const given = [[c], [n, 1, 1, c], [n, 1, 1, c]].map((shape, i) =>
    there[i] ? ([bias, scale, shift][i] as tf.Tensor) : tf.zeros(shape),
  );
  const op = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, bias: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) =>
    ops.groupNorm(x as tf.Tensor4D, groups, { gamma, beta, bias, film: { scale, shift }, silu, epsilon }, 'composed');
  const args = [input, gamma, beta, ...given] as Parameters<typeof op>;
  if (!dy) return [op(...args)];
  return tf
    .grads(op)(args, dy)
    .map((gradient, i) => (i < 3 || there[i - 3] ? gradient : null));
}

type Images = tf.Tensor4D;

function convolutionComposed(kernel: string, inputs: Tensors): tf.Tensor {
  const { x, dy, kernel: filters, bias, residual } = inputs as Record<string, Images>;
  const [n, h, w] = ((x ?? dy) as Images).shape;
  const from = x?.shape[3] ?? filters?.shape[2] ?? 0;
  const to = dy?.shape[3] ?? filters?.shape[3] ?? 0;
  const given = [x ?? tf.zeros([n, h, w, from]), filters ?? tf.zeros([3, 3, from, to])] as [Images, Images];
  // The library takes no empty batch of any size.
  const empty = n === 0;
  const library = (x: tf.Tensor, k: tf.Tensor) => ops.conv2d(x as Images, k as Images, { gradients: 'kernels' });
  if (kernel === CONV_3X3 || kernel === TRANSFORMED) {
    const y = empty ? tf.zeros([n, h, w, to]) : library(...given);
    return [bias, residual].reduce((sum, part) => (part && part.size > 0 && !empty ? tf.add(sum, part) : sum), y);
  }
  const at = kernel === CONV_3X3_INPUT_GRADIENT ? 0 : 1;
  return empty ? tf.zeros(given[at].shape) : (tf.grads(library)(given, dy as Images)[at] as tf.Tensor);
}

function linearComposed(kernel: string, { x, dy, weight, bias, residual }: Tensors): tf.Tensor {
  const rows = (x ?? (dy as tf.Tensor)).shape[0] as number;
  const from = x?.shape[1] ?? weight?.shape[0] ?? 0;
  const to = dy?.shape[1] ?? weight?.shape[1] ?? 0;
  const given = [x ?? tf.zeros([rows, from]), weight ?? tf.zeros([from, to])] as [tf.Tensor, tf.Tensor];
  const map = (x: tf.Tensor, weight: tf.Tensor) => ops.linear(x, weight as tf.Tensor2D, {}, 'composed');
  if (kernel !== LINEAR)
    return tf.grads(map)(given, dy as tf.Tensor)[kernel === LINEAR_INPUT_GRADIENT ? 0 : 1] as tf.Tensor;
  return [bias, residual].reduce<tf.Tensor>(
    (sum, part) => (part && part.size > 0 ? tf.add(sum, part) : sum),
    map(...given),
  );
}

function attentionComposed({ dy, qkv }: Tensors, heads: number): tf.Tensor {
  const op = (x: tf.Tensor) => ops.attention(x as tf.Tensor3D, heads, 'composed');
  const given = qkv as tf.Tensor;
  // The library takes no empty batch of any size.
  if (given.size === 0) return tf.zeros(dy ? given.shape : [0, given.shape[1] ?? 0, (given.shape[2] ?? 0) / 3]);
  return dy ? tf.grad(op)(given, dy) : op(given);
}

function composed(kernel: string, inputs: Tensors, attrs: unknown): Composed {
  if (kernel === ADAM) {
    const { p, g, m, v, rate, epsilon, keep } = inputs as Record<
      'p' | 'g' | 'm' | 'v' | 'rate' | 'epsilon' | 'keep',
      tf.Tensor
    >;
    return adamStep({ p, g, m, v }, { rate, epsilon, keep }, attrs as AdamAttrs, 'composed');
  }
  if ([CONV_3X3, CONV_3X3_INPUT_GRADIENT, CONV_3X3_FILTER_GRADIENT, TRANSFORMED].includes(kernel))
    return [convolutionComposed(kernel, inputs)];
  if (linears.includes(kernel)) return [linearComposed(kernel, inputs)];
  if (kernel === ATTENTION || kernel === ATTENTION_GRADIENT)
    return [attentionComposed(inputs, (attrs as AttentionAttrs).heads)];
  if (kernel !== PHILOX_NORMAL && kernel !== PHILOX_UNIFORM) return normComposed(inputs, attrs as GroupNormAttrs);
  const given = attrs as PhiloxNormalAttrs & { stream: number };
  const numbers =
    kernel === PHILOX_NORMAL
      ? normalNumbers(given)
      : ops.uniformNumbers((inputs.key as tf.Tensor).dataSync() as Int32Array, given);
  return [tf.tensor(numbers, [given.samples, 4 * given.blocks], 'float32')];
}

/** The largest difference, of values whose rounding grows with `gain`. */
function difference(got: tf.Tensor, expected: tf.Tensor, gain: number): number {
  if (got.size === 0) return 0;
  const scale = tf.add(tf.max(tf.abs(expected)), 1);
  return (tf.div(tf.max(tf.abs(tf.sub(got, expected))), scale).dataSync()[0] as number) / gain;
}

/** What a case comes to: `result`, `refused`, or what is wrong. */
function outcome(index: number): string {
  const given = caseOf(seed, index);
  const { kernel, attrs } = given;
  const must = fits(given);
  const inputs = Object.fromEntries(
    Object.entries(given.inputs).map(([name, input], i) => [name, tensorOf(name, input, index + i)]),
  );
  // A nearly constant group divides by a small σ, which enlarges the rounding of both forms.
  let gain = 1;
  if (must && 'groups' in attrs) {
    const { dy: _, mean: __, rstd: ___, ...rest } = inputs;
    const [, mean, rstd] = run(GROUP_NORM, rest, attrs) as [tf.Tensor, tf.Tensor, tf.Tensor];
    if (rstd.size > 0) gain = Math.max(1, tf.max(rstd).dataSync()[0] as number) ** (inputs.dy ? 2 : 1);
    if (inputs.dy) Object.assign(inputs, { mean, rstd });
  }
  // Filters are what they are of a kernel, and are right if the convolution by them is.
  if (must && kernel === TRANSFORMED) {
    const [from, to] = [given.inputs.x?.shape[3] ?? 0, attrs.to as number];
    inputs.kernel = tensorOf('kernel', { shape: [3, 3, from, to], dtype: 'float32' }, index);
    inputs.filters = run(FILTERS, { kernel: inputs.kernel }, { turned: false })[0] as tf.Tensor;
  }
  let outputs: tf.Tensor[];
  try {
    outputs = run(kernel, inputs, attrs);
  } catch (error) {
    const { message } = error as Error;
    if (must) return `refused what it must take: ${message}`;
    return message.includes(kernel) && /^Invalid TF_Status: 3\n|; it must /.test(message)
      ? 'refused'
      : `refused without its name: ${message}`;
  }
  if (!must) return 'took what it must refuse';
  if (kernel === FILTERS) {
    const { shape } = given.inputs.kernel as Input;
    const [from = 0, to = 0] = attrs.turned ? [shape[3], shape[2]] : shape.slice(2);
    const x = tensorOf('x', { shape: [1, 5, 6, from], dtype: 'float32' }, index);
    const nothing = tf.tensor1d([]);
    const straight = inputs.kernel as Images;
    const turned = attrs.turned ? tf.transpose(tf.reverse(straight, [0, 1]), [0, 1, 3, 2]) : straight;
    const [filters] = outputs as [tf.Tensor];
    outputs = run(TRANSFORMED, { x, filters, bias: nothing, residual: nothing }, { to });
    Object.assign(inputs, { x, kernel: turned });
  }
  for (const [i, expected] of composed(kernel === FILTERS ? TRANSFORMED : kernel, inputs, attrs).entries()) {
    const got = outputs[i] as tf.Tensor;
    const shape = expected?.shape ?? [0];
    if (!tf.util.arraysEqual(got.shape, shape)) return `output ${i} has shape [${got.shape}], not [${shape}]`;
    const worst = expected ? difference(got, expected, gain) : 0;
    if (!(worst < 2e-5)) return `output ${i} differs from its composed form by ${worst}`;
  }
  return 'result';
}

for (let index = first; index < end && Date.now() < until; index++) {
  writeSync(1, `case ${index} ${describe(caseOf(seed, index))}\n`);
  writeSync(1, `${tf.tidy(() => outcome(index)).replaceAll('\n', ' ')}\n`);
}
