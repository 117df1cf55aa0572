import { checkInteger } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { module } from './compose.js';
import { linear } from './layers.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';
import { gaussian } from './parameters.js';

export interface AttentionPoolOptions {
  /** Pixels of an image, h · w. */
  tokens: number;
  /** Divides the channels. Default 1. */
  heads?: number | undefined;
}

/**
 * Pooling by attention, [n, h, w, channels] → [n, to], of CLIP (Radford et al. 2021, arXiv 2103.00020, section 2.4) and ADM's
 * classifier. The mean of the pixels becomes a token before them. Each of the 1 + h w places has a vector of its own, which is
 * added. The first token attends to all, and a linear map of what it finds is the output.
 * @throws RangeError when `heads` does not divide the channels, or in `apply` when there are not `tokens` pixels.
 */
export function attentionPool(
  channels: number,
  to: number,
  { tokens, heads = 1 }: AttentionPoolOptions,
): Module<tf.Tensor4D, tf.Tensor2D> {
  checkInteger('tokens', tokens, 1);
  checkInteger('heads', heads, 1);
  if (channels % heads !== 0) throw new RangeError(`heads is ${heads}, which does not divide ${channels} channels.`);
  const parts = {
    position: gaussian([tokens + 1, channels], 1 / Math.sqrt(channels)),
    qkv: linear(channels, 3 * channels),
    out: linear(channels, to),
  };
  return module(parts, ({ position, qkv, out }, x: tf.Tensor4D) => {
    const [n, h, w] = x.shape;
    if (h * w !== tokens) throw new RangeError(`there are ${h} × ${w} pixels; the layer was made for ${tokens}.`);
    const pixels = tf.reshape(x, [n, tokens, channels]);
    const placed = tf.add(tf.concat([tf.mean(pixels, 1, true), pixels], 1), position);
    const mixed = ops.attention(qkv(placed) as tf.Tensor3D, heads);
    return out(tf.reshape(tf.slice(mixed, [0, 0, 0], [n, 1, channels]), [n, channels])) as tf.Tensor2D;
  });
}
