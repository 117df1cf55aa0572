import * as tf from '@tensorflow/tfjs-core';
import { lambdaFeatures } from './embedding.js';
import { attention } from './ops/attention.js';
import { addBias, addResidual } from './ops/bias.js';
import { blurMatrix } from './ops/blur.js';
import { conv2d } from './ops/conv2d.js';
import { groupNorm } from './ops/group-norm.js';
import { linear } from './ops/linear.js';
import { downsample, upsample } from './ops/resample.js';
import { silu } from './ops/silu.js';
import type { UnetPerturbation } from './unet-perturbation.js';
import type { Step } from './unet-plan.js';

export type Read = <T extends tf.Tensor>(name: string) => T;

/**
 * SiLU of the embedding of λ and class, [n, embedding]. The class is a label, int32 [n], or an embedding of its own, [n,
 * embedding], in the place of a row of the table.
 */
export function embed(
  read: Read,
  lambda: tf.Tensor1D,
  labels: tf.Tensor1D | tf.Tensor2D | undefined,
  base: number,
): tf.Tensor2D {
  const hidden = silu(affine(read, 'lambda.linear1', lambdaFeatures(lambda, base)));
  const embedding = affine(read, 'lambda.linear2', hidden);
  if (!labels) return silu(embedding);
  if (labels.rank === 2) return silu(tf.add(embedding, labels));
  return silu(tf.add(embedding, rowsOf(read('class.table'), labels as tf.Tensor1D)));
}

/** The rows of a table [rows, size] at labels, int32 [n]: [n, size]. */
export function rowsOf(table: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor2D {
  // A product with one-hot rows instead of a gather: its gradient is a product too, and every backend has that. The cast
  // is apart because WebAssembly's `oneHot` writes integers into a float32 result.
  const chosen = tf.cast(tf.oneHot(labels, table.shape[0]), 'float32') as tf.Tensor2D;
  return linear(chosen, table);
}

/** What every part of a walk reads: the parameters, the number of groups of its norms, scale and shift by block. */
export interface Context {
  read: Read;
  groups: number;
  films: ReadonlyMap<string, { scale: tf.Tensor; shift: tf.Tensor }>;
  perturbation?: UnetPerturbation | undefined;
}

/** Scale and shift of every residual block, [n, 1, 1, c] each, from one product for all of them. */
export function filmTable(steps: readonly Step[], read: Read, embedding: tf.Tensor2D): Context['films'] {
  const names = steps.flatMap((step) => (step.kind === 'residual' ? [step.name] : []));
  const kernels = names.map((name) => read<tf.Tensor2D>(`${name}.film.kernel`));
  const biases = names.map((name) => read<tf.Tensor1D>(`${name}.film.bias`));
  const all = addBias(linear(embedding, tf.concat(kernels, 1)), tf.concat(biases));
  const sizes = kernels.flatMap((kernel) => [kernel.shape[1] / 2, kernel.shape[1] / 2]);
  const parts = tf.split(tf.reshape(all, [embedding.shape[0], 1, 1, all.shape[1]]), sizes, 3);
  return new Map(
    names.map((name, i) => [name, { scale: parts[2 * i] as tf.Tensor, shift: parts[2 * i + 1] as tf.Tensor }]),
  );
}

/** The features at the end of the steps, from z. */
export function walk(steps: readonly Step[], context: Context, z: tf.Tensor4D): tf.Tensor4D {
  const kept: tf.Tensor4D[] = [];
  let x = z;
  for (const step of steps) {
    switch (step.kind) {
      case 'convolution':
        x = convolve(context.read, step.name, x);
        break;
      case 'residual':
        x = residual(context, step.name, x);
        break;
      case 'attention':
        x = attend(context, step.name, x, step.heads);
        break;
      case 'downsample':
        x = downsample(x);
        break;
      case 'upsample':
        x = convolve(context.read, step.name, upsample(x));
        break;
      case 'keep':
        kept.push(x);
        break;
      case 'join':
        x = tf.concat([x, kept.pop() as tf.Tensor4D], 3);
    }
  }
  return x;
}

function residual({ read, groups, films, perturbation }: Context, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const straight = () =>
    x.shape[3] === (films.get(name)?.shift.shape[3] as number)
      ? x
      : linear(x, read<tf.Tensor2D>(`${name}.skip.kernel`));
  if (perturbation?.skip?.includes(name)) return straight();
  const kernel = (part: string): tf.Tensor4D => read(`${name}.${part}.kernel`);
  const normed = groupNorm(x, groups, { ...norm(read, `${name}.norm1`), silu: true });
  const first = conv2d(normed, kernel('conv1'));
  const conditioning = { bias: read(`${name}.conv1.bias`), film: films.get(name) };
  const second = groupNorm(first, groups, {
    ...norm(read, `${name}.norm2`),
    ...conditioning,
    silu: true,
  });
  return addResidual(conv2d(second, kernel('conv2')), straight(), read(`${name}.conv2.bias`));
}

function attend({ read, groups, perturbation }: Context, name: string, x: tf.Tensor4D, heads: number): tf.Tensor4D {
  if (perturbation?.skip?.includes(name)) return x;
  const [n, h, w, c] = x.shape;
  const tokens: tf.Tensor3D = tf.reshape(groupNorm(x, groups, norm(read, `${name}.norm`)), [n, h * w, c]);
  const qkv = affine(read, `${name}.qkv`, tokens);
  const how = !perturbation?.at || perturbation.at.includes(name) ? perturbation?.attention : undefined;
  const mixed = how === 'identity' ? valuesOf(qkv, c) : attention(how ? blurred(qkv, c, how.blur, h, w) : qkv, heads);
  const out = tf.reshape(linear(mixed, read<tf.Tensor2D>(`${name}.out.kernel`)), [n, h, w, c]);
  return addResidual(out as tf.Tensor4D, x, read(`${name}.out.bias`));
}

/** What each token attends to when it attends to itself alone. */
const valuesOf = (qkv: tf.Tensor3D, c: number): tf.Tensor3D => tf.slice(qkv, [0, 0, 2 * c], [-1, -1, c]);

/** The same with the queries blurred over the map of h × w tokens. */
function blurred(qkv: tf.Tensor3D, c: number, sigma: number, h: number, w: number): tf.Tensor3D {
  const [q, rest] = tf.split(qkv, [c, 2 * c], 2) as [tf.Tensor3D, tf.Tensor3D];
  return tf.concat([tf.matMul(blurMatrix(h, w, sigma), q) as tf.Tensor3D, rest], 2);
}

export const norm = (read: Read, name: string): { gamma: tf.Tensor; beta: tf.Tensor } => ({
  gamma: read(`${name}.gamma`),
  beta: read(`${name}.beta`),
});

export const affine = <T extends tf.Tensor>(read: Read, name: string, x: T): T =>
  addBias(linear(x, read<tf.Tensor2D>(`${name}.kernel`)), read(`${name}.bias`));

export const convolve = (read: Read, name: string, x: tf.Tensor4D): tf.Tensor4D =>
  addBias(conv2d(x, read<tf.Tensor4D>(`${name}.kernel`)), read(`${name}.bias`));
