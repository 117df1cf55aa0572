import { checkAbove, checkInteger, checkKnown } from '@logsnr/core';
import type { TimeOptions } from './noise-embedding.js';

/** What a {@link dit} and an {@link mlp} have in common. */
export interface TokensConfig {
  /** Number of classes. 0 makes an unconditional network, which ignores its labels. */
  classes: number;
  /** Whether the label `classes` is ∅, with a row of its own. Default true. */
  nullClass?: boolean;
  /** Width of the network: the channels of a token. */
  size: number;
  /** Number of blocks. */
  depth: number;
  /** Hidden units of a block over `size`. Default 4. */
  ratio?: number;
  /** The times on which the network was trained, which it embeds in place of λ: t(λ). Default λ itself. */
  time?: TimeOptions;
}

/** The size and shape of a {@link dit}. */
export interface DitConfig extends TokensConfig {
  /** Pixels of the input, or of its latent code; each divisible by `patch`. */
  height: number;
  width: number;
  /** Channels of z. */
  channels: number;
  /** Channels of the output, e.g. twice as many for a learned variance. Default `channels`. */
  outputs?: number;
  /** Pixels of a token, in height and in width. */
  patch: number;
  /** Attention heads. It divides `size`. */
  heads: number;
  /** ε of the norm before a block's linear maps. Default 1e−6, as of the other norms; diffusers has 1e−5 there unless told. */
  epsilon?: number;
}

/** The size of an {@link mlp}. */
export interface MlpConfig extends TokensConfig {
  /** Numbers of a sample. */
  dimensions: number;
  /** Numbers of the output, e.g. twice as many for a learned variance. Default `dimensions`. */
  outputs?: number;
}

const shared = ['classes', 'nullClass', 'size', 'depth', 'ratio', 'outputs', 'time'] as const;

function checkShared(config: TokensConfig & { outputs?: number }, more: readonly string[]): void {
  checkKnown('the network', config, [...shared, ...more]);
  checkInteger('classes', config.classes);
  for (const option of ['size', 'depth'] as const) checkInteger(option, config[option], 1);
  for (const option of ['ratio', 'outputs'] as const) checkInteger(option, config[option] ?? 1, 1);
}

/** @throws RangeError on a configuration that fits no network. */
export function checkDit(config: DitConfig): void {
  const own = ['height', 'width', 'channels', 'patch', 'heads'] as const;
  checkShared(config, [...own, 'epsilon']);
  checkAbove('epsilon', config.epsilon ?? 1e-6);
  for (const option of own) checkInteger(option, config[option], 1);
  const { height, width, patch, size, heads } = config;
  for (const [what, pixels] of Object.entries({ height, width }))
    if (pixels % patch !== 0) throw new RangeError(`${what} is ${pixels}, which patch, ${patch}, does not divide.`);
  if (size % 4 !== 0)
    throw new RangeError(
      `size is ${size}; it must be divisible by 4: a position has sines and cosines of row and column.`,
    );
  if (size % heads !== 0) throw new RangeError(`heads is ${heads}, which does not divide size, ${size}.`);
}

/** @throws RangeError on a configuration that fits no network. */
export function checkMlp(config: MlpConfig): void {
  checkShared(config, ['dimensions']);
  checkInteger('dimensions', config.dimensions, 1);
}
