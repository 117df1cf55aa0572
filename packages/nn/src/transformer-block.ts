import * as tf from '@tensorflow/tfjs-core';
import { module, type Run } from './compose.js';
import { linear } from './layers.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';

/** Rows x [n, t, size], such as tokens, and the embedding [n, size] that says how their norms are scaled. */
export interface ModulatedInput {
  x: tf.Tensor3D;
  /** SiLU has been applied. */
  condition: tf.Tensor2D;
}

export interface MlpBlockOptions {
  /** Hidden units over `size`. Default 4. */
  ratio?: number | undefined;
}

export interface TransformerBlockOptions extends MlpBlockOptions {
  /** Divides the size. */
  heads: number;
  /** ε of the second branch's norm. Default 1e−6, as of the first. */
  epsilon?: number | undefined;
}

const EPSILON = 1e-6;

/**
 * The transformer block of DiT with adaLN-Zero (Peebles & Xie 2022, arXiv 2212.09748, section 3.2), [n, t, size] → the same
 * shape. Two branches, self-attention and two linear maps with GELU (`tanh`) between, each x + gate · f(x̂ (1 + scale) + shift),
 * where x̂ is the layer norm of ε = 1e−6 without parameters. `modulation` maps the embedding to shift, scale and gate of the
 * first branch and of the second. It begins at zero, so that the block begins as the identity.
 * @throws RangeError when `heads` does not divide the size.
 */
export function transformerBlock(
  size: number,
  { heads, ratio = 4, epsilon = EPSILON }: TransformerBlockOptions,
): Module<ModulatedInput, tf.Tensor3D> {
  if (size % heads !== 0) throw new RangeError(`heads is ${heads}, which does not divide ${size} channels.`);
  const parts = {
    qkv: linear(size, 3 * size, { xavier: true }),
    out: linear(size, size, { xavier: true }),
    ...mlpParts(size, ratio),
    modulation: modulation(size, 6),
  };
  return module(parts, ({ qkv, out, mlp1, mlp2, modulation }, { x, condition }: ModulatedInput) => {
    const [first, second] = tf.split(modulation(condition), 2, 1) as [tf.Tensor, tf.Tensor];
    const attend = (normed: tf.Tensor) => out(ops.attention(qkv(normed) as tf.Tensor3D, heads));
    return branch(branch(x, first, attend), second, mlp(mlp1, mlp2), epsilon);
  });
}

/** The second branch of a {@link transformerBlock} alone: each row on its own. Rows [n, t, size] → the same shape. */
export function mlpBlock(size: number, { ratio = 4 }: MlpBlockOptions = {}): Module<ModulatedInput, tf.Tensor3D> {
  const parts = { ...mlpParts(size, ratio), modulation: modulation(size, 3) };
  return module(parts, ({ mlp1, mlp2, modulation }, { x, condition }: ModulatedInput) =>
    branch(x, modulation(condition), mlp(mlp1, mlp2)),
  );
}

/**
 * Layer norm scaled and shifted by the embedding, and a linear map, both of which begin at zero: what ends a DiT. [n, t,
 * size] → [n, t, to].
 */
export const modulatedLinear = (size: number, to: number): Module<ModulatedInput, tf.Tensor3D> =>
  module(
    { modulation: modulation(size, 2), linear: linear(size, to, { zero: true }) },
    ({ modulation, linear }, { x, condition }: ModulatedInput) =>
      linear(modulated(x, ...(chunks(modulation(condition), 2) as [tf.Tensor, tf.Tensor]))) as tf.Tensor3D,
  );

const modulation = (size: number, parts: number) => linear(size, parts * size, { zero: true });
const mlpParts = (size: number, ratio: number) => ({
  mlp1: linear(size, ratio * size, { xavier: true }),
  mlp2: linear(ratio * size, size, { xavier: true }),
});

type Layer = Run<tf.Tensor, tf.Tensor>;
const mlp = (mlp1: Layer, mlp2: Layer) => (x: tf.Tensor) => mlp2(ops.gelu(mlp1(x)));

/** [n, parts · size] as `parts` of [n, 1, size]. */
const chunks = (all: tf.Tensor, parts: number): tf.Tensor[] =>
  tf.split(tf.reshape(all, [all.shape[0] as number, 1, -1]), parts, 2);

const modulated = (x: tf.Tensor3D, shift: tf.Tensor, scale: tf.Tensor, epsilon = EPSILON): tf.Tensor3D =>
  ops.layerNorm(x, { gamma: tf.add(scale, 1), beta: shift, epsilon });

/** `moves` is [n, 3 · size]: shift, scale and gate. */
function branch(x: tf.Tensor3D, moves: tf.Tensor, f: (x: tf.Tensor) => tf.Tensor, epsilon = EPSILON): tf.Tensor3D {
  const [shift, scale, gate] = chunks(moves, 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.add(x, tf.mul(gate, f(modulated(x, shift, scale, epsilon))));
}
