import * as tf from '@tensorflow/tfjs-core';
import { module, type Run } from './compose.js';
import { dropout } from './dropout.js';
import { conv, groupNorm, linear } from './layers.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';

export interface ResidualBlockOptions {
  /** Width of the embedding. */
  embedding: number;
  groups: number;
  /** Whether the embedding scales and shifts the second norm, as in ADM. Else it is added before that norm, as in DDPM. Default true. */
  scaleShift?: boolean | undefined;
  /** Halves or doubles height and width: `ops.downsample` or `ops.upsample`. Default neither. */
  resample?: 'down' | 'up' | undefined;
  /** Whether the map around the branch has a bias. Default false. */
  skipBias?: boolean | undefined;
  /** ε of the norms. Default 1e−5. */
  epsilon?: number | undefined;
  /** The rate of the dropout before the second convolution. Default 0. */
  dropout?: number | undefined;
  /** False leaves the branch out, and what goes around it is the output. The parameters are the same. */
  branch?: boolean | undefined;
}

/** What an embedding does to a block, each [n, 1, 1, c]: scale and shift after its second norm, or a shift before it. */
export interface Modulation {
  readonly scale?: tf.Tensor | undefined;
  readonly shift: tf.Tensor;
}

/** Features [n, h, w, from], and the embedding [n, embedding] or what `films` makes of it. */
export interface ResidualInput {
  x: tf.Tensor4D;
  condition: tf.Tensor2D | Modulation;
}

/**
 * The residual block of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233, section 3), [n, h, w, from] → [n, h', w', to]. Its
 * branch is group norm, SiLU and a 3×3 convolution, twice. The embedding scales and shifts the second norm, or is added
 * before it (Ho et al. 2020, arXiv 2006.11239, appendix B). `resample` stands before the first convolution, and around the
 * branch. Where the channels change, a linear map goes around the branch. The last convolution begins at zero.
 */
export function residualBlock(
  from: number,
  to: number,
  options: ResidualBlockOptions,
): Module<ResidualInput, tf.Tensor4D> {
  const { embedding, groups, scaleShift = true, resample, skipBias = false, epsilon } = options;
  const { dropout: rate = 0, branch = true } = options;
  const resized = (x: tf.Tensor4D) =>
    resample === 'down' ? ops.downsample(x) : resample === 'up' ? ops.upsample(x) : x;
  const parts = {
    norm1: groupNorm(from, groups, { silu: true, epsilon }),
    conv1: conv(from, to),
    film: linear(embedding, scaleShift ? 2 * to : to),
    norm2: groupNorm(to, groups),
    dropout: rate > 0 ? dropout<tf.Tensor4D>(rate) : undefined,
    conv2: conv(to, to, { zero: true }),
    skip: from === to ? undefined : linear(from, to, { bias: skipBias }),
  };
  return module(parts, ({ norm1, conv1, film, norm2, dropout, conv2, skip }, { x, condition }: ResidualInput) => {
    const around = () => (skip ? (skip(resized(x)) as tf.Tensor4D) : resized(x));
    if (!branch) return skip || resample ? around() : x.clone();
    const given = condition instanceof tf.Tensor ? films([film], condition, scaleShift)[0] : condition;
    const { scale, shift } = given as Modulation;
    // Biases are added by what comes next, which passes over the pixels anyway.
    const first = ops.conv2d(resized(norm1(x)), conv1.parameters.kernel as tf.Tensor4D);
    const { gamma, beta } = norm2.parameters as { gamma: tf.Tensor; beta: tf.Tensor };
    const bias = conv1.parameters.bias as tf.Tensor;
    const modulated = scale ? { bias, film: { scale, shift } } : { bias: tf.add(bias, shift) };
    const normed = ops.groupNorm(first, groups, { gamma, beta, ...modulated, silu: true, epsilon });
    const { kernel, bias: last } = conv2.parameters as { kernel: tf.Tensor4D; bias: tf.Tensor };
    return ops.conv2d(dropout ? dropout(normed) : normed, kernel, { bias: last, residual: around() });
  });
}

/**
 * What one embedding [n, size] does to many blocks, each by a linear map of its own: scale and shift, or a shift alone. One
 * product makes them all.
 */
export function films(
  layers: readonly Pick<Run<never, unknown>, 'parameters'>[],
  embedding: tf.Tensor2D,
  scaleShift = true,
): Modulation[] {
  const kernels = layers.map(({ parameters }) => parameters.kernel as tf.Tensor2D);
  const biases = layers.map(({ parameters }) => parameters.bias as tf.Tensor1D);
  const all = ops.linear(embedding, tf.concat(kernels, 1), { bias: tf.concat(biases) });
  const own = scaleShift ? 2 : 1;
  const sizes = kernels.flatMap((kernel) => Array<number>(own).fill(kernel.shape[1] / own));
  const wide = tf.reshape(all, [embedding.shape[0], 1, 1, all.shape[1]]);
  // The library has no gradient of a split into one.
  const parts = sizes.length > 1 ? tf.split(wide, sizes, 3) : [wide];
  return layers.map((_, i) => ({
    scale: scaleShift ? parts[2 * i] : undefined,
    shift: parts[own * i + own - 1] as tf.Tensor,
  }));
}
