import * as tf from '@tensorflow/tfjs-core';
import { module, type Run } from './compose.js';
import { dropout } from './dropout.js';
import { conv, groupNorm, linear } from './layers.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';

export interface ResidualBlockOptions {
  /** Width of the embedding that scales and shifts the second norm. */
  embedding: number;
  groups: number;
  /** The rate of the dropout before the second convolution. Default 0. */
  dropout?: number | undefined;
  /** False leaves the branch out, and what goes around it is the output. The parameters are the same. */
  branch?: boolean | undefined;
}

/** Features [n, h, w, from], and the embedding [n, embedding] or the scale and shift that `films` makes of it. */
export interface ResidualInput {
  x: tf.Tensor4D;
  condition: tf.Tensor2D | ops.Film;
}

/**
 * The residual block of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233, section 3), [n, h, w, from] → [n, h, w, to]. Its
 * branch is group norm, SiLU and a 3×3 convolution, twice. The embedding scales and shifts the second norm. Where the
 * channels change, a linear map goes around the branch. The last convolution begins at zero.
 */
export function residualBlock(
  from: number,
  to: number,
  { embedding, groups, dropout: rate = 0, branch = true }: ResidualBlockOptions,
): Module<ResidualInput, tf.Tensor4D> {
  const parts = {
    norm1: groupNorm(from, groups, { silu: true }),
    conv1: conv(from, to),
    film: linear(embedding, 2 * to),
    norm2: groupNorm(to, groups),
    dropout: rate > 0 ? dropout<tf.Tensor4D>(rate) : undefined,
    conv2: conv(to, to, { zero: true }),
    skip: from === to ? undefined : linear(from, to, { bias: false }),
  };
  return module(parts, ({ norm1, conv1, film, norm2, dropout, conv2, skip }, { x, condition }: ResidualInput) => {
    const around = () => (skip ? (skip(x) as tf.Tensor4D) : x);
    if (!branch) return skip ? around() : x.clone();
    const scales = condition instanceof tf.Tensor ? (films([film], condition)[0] as ops.Film) : condition;
    // Biases are added by what comes next, which passes over the pixels anyway.
    const first = ops.conv2d(norm1(x), conv1.parameters.kernel as tf.Tensor4D);
    const { gamma, beta } = norm2.parameters as { gamma: tf.Tensor; beta: tf.Tensor };
    const bias = conv1.parameters.bias as tf.Tensor;
    const normed = ops.groupNorm(first, groups, { gamma, beta, bias, film: scales, silu: true });
    const { kernel, bias: last } = conv2.parameters as { kernel: tf.Tensor4D; bias: tf.Tensor };
    return ops.conv2d(dropout ? dropout(normed) : normed, kernel, { bias: last, residual: around() });
  });
}

/** Scale and shift, [n, 1, 1, c] each, of many linear maps of one embedding [n, size]. One product makes them all. */
export function films(layers: readonly Pick<Run<never, unknown>, 'parameters'>[], embedding: tf.Tensor2D): ops.Film[] {
  const kernels = layers.map(({ parameters }) => parameters.kernel as tf.Tensor2D);
  const biases = layers.map(({ parameters }) => parameters.bias as tf.Tensor1D);
  const all = ops.linear(embedding, tf.concat(kernels, 1), { bias: tf.concat(biases) });
  const sizes = kernels.flatMap((kernel) => [kernel.shape[1] / 2, kernel.shape[1] / 2]);
  const parts = tf.split(tf.reshape(all, [embedding.shape[0], 1, 1, all.shape[1]]), sizes, 3);
  return layers.map((_, i) => ({ scale: parts[2 * i] as tf.Tensor, shift: parts[2 * i + 1] as tf.Tensor }));
}
