import { checkAbove, checkChoice, checkInteger, checkKnown, checkShape, checkWithin } from '@logsnr/core';
import { Tensor } from '@tensorflow/tfjs-core';
import type { TimeOptions } from './noise-embedding.js';

/** The size and shape of a {@link unet}. */
export interface UnetConfig {
  /** Pixels of the input, each divisible by 2 for every level but the last. */
  height: number;
  width: number;
  /** Channels of z. */
  channels: number;
  /** Channels of the output, e.g. twice as many for a learned variance. Default `channels`. */
  outputs?: number;
  /** Number of classes. 0 makes an unconditional network, which ignores its labels. */
  classes: number;
  /** Whether the label `classes` is ∅, with a row of its own in the class table. Default true. */
  nullClass?: boolean;
  /** Width of the network: level i has base · multipliers[i] channels, a whole number. */
  base: number;
  multipliers: readonly number[];
  /** Residual blocks a level on the way down. The way up has one more. */
  blocks: number;
  /** Heights of the feature maps at which every block is followed by self-attention, e.g. [7]. Default none. */
  attention?: readonly number[];
  /** Attention heads (default 1), or instead the channels of one head. */
  heads?: number;
  headChannels?: number;
  /** Whether self-attention stands in the middle, between two blocks. Default: where it does at the last level. */
  middleAttention?: boolean;
  /** How one level leads to the next. Default `pool`. */
  resample?: Resample;
  /** Whether the embedding scales and shifts each block's second norm. Else it is added before the norm. Default true. */
  scaleShift?: boolean;
  /** Whether the linear maps around blocks have biases. Default false. */
  skipBias?: boolean;
  /** Groups of the group norms. It divides the channels of every level. */
  groups: number;
  /** ε of the group norms. Default 1e−5. */
  epsilon?: number;
  /** Width of the embedding of λ and class. Default 4 · base. */
  embedding?: number;
  /** The rate of the dropout in every residual block, for training. Default 0. */
  dropout?: number;
  /** The times on which the network was trained. It then embeds t(λ) instead of λ. Default none. */
  time?: TimeOptions;
}

/**
 * How a U-Net halves height and width, and doubles them. `pool`: mean pooling, and nearest neighbours with a convolution.
 * `conv`: a 3×3 convolution of stride 2 with a row and a column of zeros on all sides, and nearest neighbours with a
 * convolution. `conv-same`: the same with zeros below and on the right alone, as in DDPM. `residual`: ADM's residual blocks,
 * see `residualBlock` of `@logsnr/nn`.
 */
export type Resample = 'pool' | 'conv' | 'conv-same' | 'residual';

/** One resolution of the network. */
export interface Level {
  channels: number;
  height: number;
  /** Attention heads; 0 for none. */
  heads: number;
}

const known = [
  ...['height', 'width', 'channels', 'outputs', 'classes', 'nullClass', 'base', 'multipliers', 'blocks', 'attention'],
  ...['heads', 'headChannels', 'middleAttention', 'resample', 'scaleShift', 'skipBias', 'groups', 'epsilon'],
  ...['embedding', 'dropout', 'time'],
];

const list = (values: readonly number[]): string => `[${values.join(', ')}]`;

/**
 * The levels that a configuration describes, from the finest to the coarsest.
 * @throws RangeError on a size that is no positive integer or does not divide as it must, an attention height that no
 * level has, or an unknown option.
 */
export function unetLevels(config: UnetConfig): Level[] {
  checkKnown('the network', config, known);
  const { height, width, base, multipliers, attention = [], groups } = config;
  for (const option of ['height', 'width', 'channels', 'base', 'blocks', 'groups'] as const)
    checkInteger(option, config[option], 1);
  checkInteger('classes', config.classes);
  checkInteger('outputs', config.outputs ?? config.channels, 1);
  checkWithin('dropout', config.dropout ?? 0, 0, 1);
  checkAbove('epsilon', config.epsilon ?? 1e-5);
  checkChoice('resample', config.resample ?? 'pool', ['pool', 'conv', 'conv-same', 'residual']);
  if (base % 2 !== 0) throw new RangeError(`base is ${base}; it must be even: λ has base/2 sines and as many cosines.`);
  if (config.embedding !== undefined) checkInteger('embedding', config.embedding, 1);
  if (config.heads !== undefined && config.headChannels !== undefined)
    throw new RangeError('heads and headChannels are both given; give one of them.');
  if (multipliers.length === 0) throw new RangeError('multipliers is empty; give one for each level, e.g. [1, 2, 2].');
  for (const [i, multiplier] of multipliers.entries()) {
    checkAbove(`multipliers[${i}]`, multiplier);
    checkInteger(`base · multipliers[${i}]`, base * multiplier, 1);
  }
  const factor = 2 ** (multipliers.length - 1);
  for (const [what, size] of Object.entries({ height, width }))
    if (size % factor !== 0)
      throw new RangeError(
        `${what} is ${size}; ${multipliers.length} levels halve it ${multipliers.length - 1} times, so it must be divisible by ${factor}.`,
      );
  const heights = multipliers.map((_, i) => height / 2 ** i);
  for (const at of attention)
    if (!heights.includes(at))
      throw new RangeError(`attention is asked for at height ${at}; the levels have heights ${list(heights)}.`);
  return multipliers.map((multiplier, i) => {
    const channels = base * multiplier;
    if (channels % groups !== 0)
      throw new RangeError(`groups is ${groups}, which does not divide the ${channels} channels of level ${i}.`);
    const own = heights[i] as number;
    return { channels, height: own, heads: attention.includes(own) ? headsOf(config, channels) : 0 };
  });
}

/** The middle, of the last level's size. */
export function middleLevel(config: UnetConfig, levels: readonly Level[]): Level {
  const last = levels[levels.length - 1] as Level;
  const attends = config.middleAttention ?? last.heads > 0;
  return { ...last, heads: attends ? headsOf(config, last.channels) : 0 };
}

/** Attention heads over this many channels. */
export function headsOf({ heads = 1, headChannels }: UnetConfig, channels: number): number {
  const [what, divisor] = headChannels === undefined ? ['heads', heads] : ['headChannels', headChannels];
  checkInteger(what as string, divisor as number, 1);
  if (channels % (divisor as number) !== 0)
    throw new RangeError(`${what} is ${divisor}, which does not divide the ${channels} channels under attention.`);
  return headChannels === undefined ? heads : channels / headChannels;
}

/** @throws RangeError or TypeError when z is not of this shape, or λ not of its length. */
export function checkInput(z: Tensor, shape: readonly (number | null)[], lambda: Tensor): void {
  for (const [what, given] of Object.entries({ z, lambda }))
    if (!(given instanceof Tensor) || given.dtype !== 'float32')
      throw new TypeError(
        `${what} is ${given instanceof Tensor ? `of type ${given.dtype}` : 'no tensor'}; it must be a tensor of float32.`,
      );
  checkShape('z', z, shape);
  checkShape('lambda', lambda, [z.shape[0] as number]);
}
