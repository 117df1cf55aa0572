import * as tf from '@tensorflow/tfjs-core';
import { module } from './compose.js';
import { groupNorm, linear } from './layers.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';

/**
 * Whom a token attends to. `softmax`: all tokens, by softmax(Q Kᵀ/√d). `identity`: itself alone. `{ blur }`: as softmax, but
 * a Gaussian of this deviation, in tokens, blurs the queries over the map. `Infinity` replaces each query by their mean.
 */
export type Attends = 'softmax' | 'identity' | { readonly blur: number };

export interface AttentionBlockOptions {
  groups: number;
  /** Divides the channels. Default 1. */
  heads?: number | undefined;
  /** Default `softmax`. */
  attends?: Attends | undefined;
  /** ε of the norm. Default 1e−5. */
  epsilon?: number | undefined;
  /** False leaves the branch out. The parameters are the same. */
  branch?: boolean | undefined;
}

/**
 * Self-attention over the pixels of x [n, h, w, channels]: x + attention(norm(x)). See `ops.attention`.
 * @throws RangeError when `heads` or `groups` does not divide the channels.
 */
export function attentionBlock(
  channels: number,
  { groups, heads = 1, attends = 'softmax', branch = true, epsilon }: AttentionBlockOptions,
): Module<tf.Tensor4D, tf.Tensor4D> {
  if (channels % heads !== 0) throw new RangeError(`heads is ${heads}, which does not divide ${channels} channels.`);
  const parts = {
    norm: groupNorm(channels, groups, { epsilon }),
    qkv: linear(channels, 3 * channels),
    out: linear(channels, channels, { zero: true }),
  };
  return module(parts, ({ norm, qkv, out }, x: tf.Tensor4D) => {
    if (!branch) return x.clone();
    const [n, h, w, c] = x.shape;
    const all = qkv(tf.reshape(norm(x), [n, h * w, c])) as tf.Tensor3D;
    const mixed = mix(all, { heads, attends, h, w });
    const { kernel, bias } = out.parameters as { kernel: tf.Tensor2D; bias: tf.Tensor };
    return ops.linear(tf.reshape(mixed, [n, h, w, c]) as tf.Tensor4D, kernel, { bias, residual: x });
  });
}

interface Mix {
  heads: number;
  attends: Attends;
  h: number;
  w: number;
}

function mix(qkv: tf.Tensor3D, { heads, attends, h, w }: Mix): tf.Tensor3D {
  if (attends === 'softmax') return ops.attention(qkv, heads);
  const c = qkv.shape[2] / 3;
  if (attends === 'identity') return tf.slice(qkv, [0, 0, 2 * c], [-1, -1, c]);
  const [q, rest] = tf.split(qkv, [c, 2 * c], 2) as [tf.Tensor3D, tf.Tensor3D];
  const blurred = tf.matMul(ops.blurMatrix(h, w, attends.blur), q) as tf.Tensor3D;
  return ops.attention(tf.concat([blurred, rest], 2), heads);
}
