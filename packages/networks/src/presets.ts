import { checkChoice, type Prediction } from '@logsnr/core';
import type { Network } from '@logsnr/nn';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { dit } from './dit.js';
import type { DitConfig } from './dit-config.js';
import type { TimeOptions } from './noise-embedding.js';

/** A network as data: JSON values alone. */
export type NetworkSpec = { readonly kind: 'dit'; readonly config: DitConfig };

/** A published model: its network, and what it was trained to say. JSON values alone. */
export interface Preset {
  readonly name: string;
  readonly network: NetworkSpec;
  readonly classes: number;
  /** Whether the label `classes` is ∅. Without it classifier-free guidance has no meaning. */
  readonly nullClass: boolean;
  /** Height, width and channels of z. */
  readonly image: readonly [height: number, width: number, channels: number];
  readonly prediction: Prediction;
  readonly variance?: 'range' | undefined;
  /** The times on which it was trained. */
  readonly times?: TimeOptions | undefined;
  /** Whose names of parameters its published files have. */
  readonly checkpoints: readonly ('guided-diffusion' | 'dit' | 'diffusers')[];
}

/** Sizes of Peebles & Xie 2022, table 1. */
const sizes = {
  s: { size: 384, depth: 12, heads: 6 },
  b: { size: 768, depth: 12, heads: 12 },
  l: { size: 1024, depth: 24, heads: 16 },
  xl: { size: 1152, depth: 28, heads: 16 },
};

/** DiT on latent codes of 32×32×4, of ImageNet's images of 256×256 pixels. */
function ditPreset(name: string, size: keyof typeof sizes, patch: number): Preset {
  const [height, width, channels, classes] = [32, 32, 4, 1000];
  const times: TimeOptions = { betas: 'linear', steps: 1000 };
  const config = { height, width, channels, outputs: 2 * channels, classes, patch, ...sizes[size], time: times };
  return {
    ...{ name, network: { kind: 'dit', config }, classes, nullClass: true, image: [height, width, channels] },
    ...{ prediction: 'eps', variance: 'range', times, checkpoints: ['dit', 'diffusers'] },
  };
}

const presets: Readonly<Record<string, Preset>> = Object.fromEntries(
  (['s', 'b', 'l', 'xl'] as const)
    .flatMap((size) => [2, 4, 8].map((patch) => ditPreset(`dit-${size}-${patch}`, size, patch)))
    .map((preset) => [preset.name, preset]),
);

/** The names of all presets. */
export const presetNames: readonly string[] = Object.keys(presets);

/**
 * A published model by its name.
 * @throws RangeError on a name that no preset has.
 */
export function preset(name: string): Preset {
  checkChoice('the preset', name, presetNames);
  return presets[name] as Preset;
}

/** The network of a preset. */
export const networkOf = ({ network }: Pick<Preset, 'network'>): Network<Tensor1D> => dit(network.config);
