import type { Prediction } from '@logsnr/core';
import { preset, type UnetConfig } from '@logsnr/networks';
import type { ScheduleRecord } from './model-folder.js';

/** How a model is trained, as data. */
export interface TrainingRecord {
  readonly seed: number;
  readonly steps: number;
  /** Total minutes, where the run is limited by them too. */
  readonly minutes?: number | undefined;
  readonly batch: number;
  /** Parts of a batch whose mean gradient takes the step. */
  readonly accumulate: number;
  readonly pUncond: number;
  readonly precision: 'float32' | 'bfloat16';
  readonly emaDecay: number;
  /** Adam. The rate falls from `learningRate` to `last` along half a cosine; constant without it. */
  readonly optimizer: {
    readonly learningRate: number;
    readonly last?: number;
    readonly warmup: number;
    readonly clipNorm?: number;
  };
  /** Whether images are mirrored left and right at random. */
  readonly flip: boolean;
}

/** What `logsnr train NAME` trains unless options say otherwise. */
export interface TrainPreset {
  readonly network: UnetConfig;
  readonly prediction: Prediction;
  readonly schedule: ScheduleRecord;
  /** The dataset that comes by itself; undefined where `--data` must name a folder. */
  readonly data?: 'mnist' | 'fashion-mnist' | 'cifar10' | undefined;
  readonly training: TrainingRecord;
  /** Whose settings these are. */
  readonly source: string;
}

const usual = { seed: 0, accumulate: 1, pUncond: 0.1, precision: 'float32' } as const;
/** p(λ) of Ho & Salimans 2022. */
const paper: ScheduleRecord = { name: 'arctan', lambdaMin: -20, lambdaMax: 20 };

/** The network of a preset of `@logsnr/networks`, told λ, with ∅ and without a learned variance, as the paper trains it. */
function network(name: string, own: Partial<UnetConfig> = {}): UnetConfig {
  const { time: _, outputs: __, ...config } = preset(name).network.config as UnetConfig;
  return { ...config, nullClass: true, ...own };
}

const digits = (data: 'mnist' | 'fashion-mnist', steps: number): TrainPreset => ({
  ...{ network: network('mnist'), prediction: 'v', data, source: "the demo's" },
  schedule: { name: 'arctan', lambdaMin: -12, lambdaMax: 12 },
  training: {
    ...{ ...usual, steps, batch: 64, emaDecay: 0.995, flip: false },
    optimizer: { learningRate: 3e-3, last: 1e-4, warmup: 20, clipNorm: 1 },
  },
});

/** ADM's networks, batches, steps and rates (Dhariwal & Nichol 2021, arXiv 2105.05233, table 11), trained as Ho & Salimans do. */
const imagenet = (size: 64 | 128, batch: number, steps: number): TrainPreset => ({
  ...{ network: network(`adm-imagenet${size}`), prediction: 'eps', schedule: paper },
  source: 'Dhariwal & Nichol 2021, table 11; Ho & Salimans 2022',
  training: {
    ...{ ...usual, steps, batch, emaDecay: 0.9999, flip: true },
    optimizer: { learningRate: 1e-4, warmup: 0 },
  },
});

export const TRAIN_PRESETS: Readonly<Record<string, TrainPreset>> = {
  mnist: digits('mnist', 900),
  'fashion-mnist': digits('fashion-mnist', 2000),
  cifar10: {
    ...{ network: network('ddpm-cifar10', { classes: 10 }), prediction: 'eps', schedule: paper, data: 'cifar10' },
    source: 'Ho et al. 2020, appendix B, with classes',
    training: {
      ...{ ...usual, steps: 800_000, batch: 128, emaDecay: 0.9999, flip: true },
      optimizer: { learningRate: 2e-4, warmup: 5000, clipNorm: 1 },
    },
  },
  imagenet64: imagenet(64, 2048, 540_000),
  imagenet128: imagenet(128, 256, 4_360_000),
};

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/** A network at another width. Groups and channels of heads become as few as must divide its channels. */
export function resized(config: UnetConfig, base: number): UnetConfig {
  const channels = config.multipliers.map((multiplier) => base * multiplier);
  const common = (wanted: number) => channels.reduce(divisor, wanted);
  const { headChannels, groups } = config;
  return {
    ...config,
    ...{ base, groups: common(groups) },
    ...(headChannels === undefined ? {} : { headChannels: common(headChannels) }),
  };
}

/** A network for other images. Attention stays at maps of up to 16 pixels, unless its heights are there. */
export function fitted(
  config: UnetConfig,
  { size, channels, classes }: { size: number; channels: number; classes: number },
): UnetConfig {
  const heights = config.multipliers.map((_, level) => size / 2 ** level);
  const known = (config.attention ?? []).filter((height) => heights.includes(height));
  const first = heights.find((height) => height <= 16);
  const attention = known.length > 0 || first === undefined ? known : [first];
  return { ...config, height: size, width: size, channels, classes, attention };
}
