import { checkChoice, type Prediction } from '@logsnr/core';
import type { NetworkKind, NetworkSpec } from './network-spec.js';
import type { TimeOptions } from './noise-embedding.js';
import type { UnetConfig } from './unet-config.js';

/** A published model: its network, and what it was trained to say. JSON values alone. */
export interface Preset<Kind extends NetworkKind = NetworkKind> {
  readonly name: string;
  readonly network: NetworkSpec<Kind>;
  /** 0 for a model without classes. */
  readonly classes: number;
  /** Whether the label `classes` is ∅. Without it classifier-free guidance has no meaning. */
  readonly nullClass: boolean;
  /** Height, width and channels of z. */
  readonly image: readonly [height: number, width: number, channels: number];
  /** What the network's output is of. Undefined for a classifier. */
  readonly prediction?: Prediction | undefined;
  readonly variance?: 'range' | undefined;
  /** The times on which it was trained. Undefined where it was trained on λ. */
  readonly times?: TimeOptions | undefined;
  /** Whose names of parameters its published files have. */
  readonly checkpoints: readonly ('guided-diffusion' | 'dit' | 'diffusers' | 'logsnr')[];
  /** The name of the published file or, with a slash, of the repository on the Hugging Face hub. */
  readonly published?: string | undefined;
  /** How the published file has the channels of q, k and v: (head, q|k|v, d), which is `legacy`, or (q|k|v, head, d). */
  readonly attentionOrder?: 'legacy' | 'new' | undefined;
}

/** The kinds of network that presets of such a name have. */
export type KindOf<Name extends string> = string extends Name
  ? NetworkKind
  : Name extends `dit-${string}`
    ? 'dit'
    : Name extends `${string}-classifier`
      ? 'noisy-classifier'
      : Name extends `${string}-upsampler`
        ? 'super-resolution'
        : 'unet';

/** Sizes of Peebles & Xie 2022, table 1. */
const sizes = {
  s: { size: 384, depth: 12, heads: 6 },
  b: { size: 768, depth: 12, heads: 12 },
  l: { size: 1024, depth: 24, heads: 16 },
  xl: { size: 1152, depth: 28, heads: 16 },
};

/** DiT on latent codes of 32×32×4, of ImageNet's images of 256×256 pixels. */
function ditPreset(size: keyof typeof sizes, patch: number): Preset<'dit'> {
  const [height, width, channels, classes] = [32, 32, 4, 1000];
  const times: TimeOptions = { betas: 'linear', steps: 1000 };
  const config = { height, width, channels, outputs: 2 * channels, classes, patch, ...sizes[size], time: times };
  return {
    ...{ name: `dit-${size}-${patch}`, network: { kind: 'dit', config }, classes, nullClass: true },
    ...{ image: [height, width, channels], prediction: 'eps', variance: 'range', times },
    checkpoints: ['dit', 'diffusers'],
    // The others were not published.
    ...(size === 'xl' && patch === 2 ? { published: 'DiT-XL-2-256x256.pt' } : {}),
  };
}

type Size = 64 | 128 | 256 | 512;

const multipliers: Readonly<Record<Size, readonly number[]>> = {
  64: [1, 2, 3, 4],
  128: [1, 1, 2, 3, 4],
  256: [1, 1, 2, 2, 4, 4],
  512: [0.5, 1, 1, 2, 2, 4, 4],
};

const linear: TimeOptions = { betas: 'linear', steps: 1000 };
const cosine: TimeOptions = { betas: 'cosine', steps: 1000 };

/** What all networks of guided-diffusion have, by the flags in its README and the defaults of its `script_util.py`. */
const admConfig = (size: Size, time: TimeOptions): Omit<UnetConfig, 'base'> => ({
  ...{ height: size, width: size, channels: 3, classes: 1000, multipliers: multipliers[size], blocks: 2 },
  ...{ attention: [32, 16, 8], middleAttention: true, resample: 'residual' as const, skipBias: true, groups: 32 },
  time,
});

/** What all presets of guided-diffusion have beside their networks. */
const admPreset = (size: Size, times: TimeOptions, published: string) =>
  ({
    ...{ classes: 1000, nullClass: false, image: [size, size, 3] as const, times, published },
    ...{ checkpoints: ['guided-diffusion'] as const, attentionOrder: 'legacy' as const },
  }) satisfies Partial<Preset>;

/** What those have that denoise: six output channels, of which three are the variance's. */
const denoiser = { prediction: 'eps', variance: 'range' } as const;
const denoising = { outputs: 6, nullClass: false };

function adm(size: Size, own: Partial<UnetConfig>, time = linear): Preset<'unet'> {
  const config = { ...admConfig(size, time), ...denoising, base: 256, ...own };
  return {
    ...{ name: `adm-imagenet${size}`, network: { kind: 'unet', config } },
    ...{ ...admPreset(size, time, `${size}x${size}_diffusion.pt`), ...denoiser },
  };
}

function admClassifier(size: Size, own: Partial<UnetConfig> = {}, time = linear): Preset<'noisy-classifier'> {
  const config = { ...admConfig(size, time), base: 128, headChannels: 64, pool: 'attention' as const, ...own };
  return {
    ...{ name: `adm-imagenet${size}-classifier`, network: { kind: 'noisy-classifier', config } },
    ...admPreset(size, time, `${size}x${size}_classifier.pt`),
  };
}

function admUpsampler(low: number, size: Size, own: Partial<UnetConfig>): Preset<'super-resolution'> {
  const config = {
    ...{ ...admConfig(size, linear), ...denoising, base: 192, multipliers: multipliers[256], ...own },
    low: { height: low, width: low },
  };
  return {
    ...{ name: `adm-imagenet${low}-${size}-upsampler`, network: { kind: 'super-resolution', config } },
    ...{ ...admPreset(size, linear, `${low}_${size}_upsampler.pt`), ...denoiser },
  };
}

/** The model of ImageNet without classes. */
function admUnconditional(): Preset<'unet'> {
  const { network, ...rest } = adm(256, { headChannels: 64, classes: 0 });
  const own = { name: 'adm-imagenet256-unconditional', published: '256x256_diffusion_uncond.pt', classes: 0 };
  return { ...rest, network, ...own };
}

/** CIFAR-10 of Ho et al. 2020 (arXiv 2006.11239, appendix B), as google/ddpm-cifar10-32 has it. */
function ddpmCifar10(): Preset<'unet'> {
  const times: TimeOptions = { ...linear, first: 'sin', shift: 1 };
  const config: UnetConfig = {
    ...{ height: 32, width: 32, channels: 3, classes: 0, base: 128, multipliers: [1, 2, 2, 2], blocks: 2 },
    ...{ attention: [16], middleAttention: true, resample: 'conv-same', scaleShift: false, skipBias: true },
    ...{ groups: 32, epsilon: 1e-6, dropout: 0.1, time: times },
  };
  return {
    ...{ name: 'ddpm-cifar10', network: { kind: 'unet', config }, classes: 0, nullClass: false, image: [32, 32, 3] },
    ...{ prediction: 'eps', times, checkpoints: ['diffusers'], published: 'google/ddpm-cifar10-32' },
  };
}

/** The network of this project's demo, which is trained in minutes. */
function mnist(): Preset<'unet'> {
  const config: UnetConfig = {
    ...{ height: 28, width: 28, channels: 1, classes: 10, base: 16, multipliers: [1, 2, 2], blocks: 1 },
    ...{ attention: [7], groups: 8 },
  };
  return {
    ...{ name: 'mnist', network: { kind: 'unet', config }, classes: 10, nullClass: true, image: [28, 28, 1] },
    ...{ prediction: 'v', checkpoints: ['logsnr'] },
  };
}

const presets: Readonly<Record<string, Preset>> = Object.fromEntries(
  [
    mnist(),
    ddpmCifar10(),
    // The only published file that was trained with `--use_new_attention_order True`.
    { ...adm(64, { base: 192, blocks: 3, headChannels: 64, dropout: 0.1 }, cosine), attentionOrder: 'new' as const },
    adm(128, { heads: 4 }),
    adm(256, { headChannels: 64 }),
    admUnconditional(),
    adm(512, { headChannels: 64 }),
    admClassifier(64, { blocks: 4 }, cosine),
    admClassifier(128),
    admClassifier(256),
    admClassifier(512),
    admUpsampler(64, 256, { heads: 4 }),
    admUpsampler(128, 512, { headChannels: 64, attention: [32, 16] }),
    ...(['s', 'b', 'l', 'xl'] as const).flatMap((size) => [2, 4, 8].map((patch) => ditPreset(size, patch))),
  ].map((preset) => [preset.name, preset]),
);

/** The names of all presets. */
export const presetNames: readonly string[] = Object.keys(presets);

/**
 * A published model by its name.
 * @throws RangeError on a name that no preset has.
 */
export function preset<const Name extends string>(name: Name): Preset<KindOf<Name>> {
  checkChoice('the preset', name, presetNames);
  return presets[name] as Preset<KindOf<Name>>;
}
