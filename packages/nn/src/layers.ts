import { checkInteger } from '@logsnr/core';
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { module } from './compose.js';
import type { Module } from './module.js';
import * as ops from './ops/index.js';
import { constant, gaussian, type WeightOptions, weight } from './parameters.js';

export interface LinearOptions extends WeightOptions {
  /** Whether there is one. Default true. */
  bias?: boolean | undefined;
}

/** y = x W + b over the last axis, [..., from] → [..., to]. */
export function linear(
  from: number,
  to: number,
  { bias = true, ...start }: LinearOptions = {},
): Module<Tensor, Tensor> {
  checkInteger('from', from, 1);
  checkInteger('to', to, 1);
  const parts = { kernel: weight([from, to], start), bias: bias ? constant([to]) : undefined };
  return module(parts, ({ kernel, bias }, x: Tensor) => ops.linear(x, kernel as Tensor2D, { bias }));
}

export interface ConvLayerOptions extends LinearOptions, Pick<ops.ConvOptions, 'stride' | 'padding'> {
  /** Height and width of the kernel. Default 3. */
  size?: number | undefined;
}

/** A convolution, [n, h, w, from] → [n, h', w', to]. See `ops.conv2d`. */
export function conv(from: number, to: number, options: ConvLayerOptions = {}): Module<Tensor4D, Tensor4D> {
  const { size = 3, bias = true, stride, padding, ...start } = options;
  for (const [what, value] of Object.entries({ from, to, size, stride: stride ?? 1 })) checkInteger(what, value, 1);
  const parts = { kernel: weight([size, size, from, to], start), bias: bias ? constant([to]) : undefined };
  return module(parts, ({ kernel, bias }, x: Tensor4D) => ops.conv2d(x, kernel as Tensor4D, { stride, padding, bias }));
}

/**
 * Group norm, [n, h, w, channels] → the same shape, and SiLU on request. See `ops.groupNorm`.
 * @throws RangeError when `groups` does not divide the channels.
 */
export function groupNorm(
  channels: number,
  groups: number,
  { silu = false, epsilon }: Pick<ops.GroupNormInputs, 'silu' | 'epsilon'> = {},
): Module<Tensor4D, Tensor4D> {
  checkInteger('groups', groups, 1);
  if (channels % groups !== 0) throw new RangeError(`groups is ${groups}, which does not divide ${channels} channels.`);
  const parts = { gamma: constant([channels], 1), beta: constant([channels]) };
  return module(parts, ({ gamma, beta }, x: Tensor4D) => ops.groupNorm(x, groups, { gamma, beta, silu, epsilon }));
}

export interface LayerNormOptions {
  /** Whether there are a gain γ, first 1, and a bias β, first 0. Default true. */
  gain?: boolean | undefined;
  bias?: boolean | undefined;
  /** Default 1e−5. */
  epsilon?: number | undefined;
}

/** Layer norm over the last axis, [..., channels] → the same shape. See `ops.layerNorm`. */
export function layerNorm(
  channels: number,
  { gain = true, bias = true, epsilon }: LayerNormOptions = {},
): Module<Tensor, Tensor> {
  checkInteger('channels', channels, 1);
  const parts = { gamma: gain ? constant([channels], 1) : undefined, beta: bias ? constant([channels]) : undefined };
  return module(parts, ({ gamma, beta }, x: Tensor) => ops.layerNorm(x, { gamma, beta, epsilon }));
}

/** The row of a table for each label, int32 [n] → [n, size]. The first values of the rows are normal, of deviation `std`. */
export function embedding(rows: number, size: number, { std = 1 }: { std?: number } = {}): Module<Tensor1D, Tensor2D> {
  return module({ table: gaussian([rows, size], std) }, ({ table }, labels: Tensor1D) =>
    ops.rows(table as Tensor2D, labels),
  );
}
