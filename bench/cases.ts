import type { UnetConfig } from '@logsnr/networks';

/** What is timed: the network once, a step of training, or guided DDIM steps. */
export const caseNames = ['forward', 'train', 'sample'] as const;
export type Case = (typeof caseNames)[number];

/**
 * What it is timed on. The first four are this project's, the others its rivals: PyTorch as it is, with channels_last, and
 * compiled, each in bfloat16 too; and ONNX Runtime, for the forward pass alone.
 */
export const variantNames = [
  'eager',
  'compiled',
  'compiled-bf16',
  'wasm',
  'torch',
  'torch-bf16',
  'torch-last',
  'torch-last-bf16',
  'torch-compile',
  'torch-compile-bf16',
  'onnx',
] as const;
export type Variant = (typeof variantNames)[number];

export const isRival = (variant: Variant): boolean => /^(torch|onnx)/.test(variant);

/** Where a variant may round to bfloat16. */
export type Precision = 'float32' | 'bfloat16';
export const precisionOf = (variant: Variant): Precision => (variant.endsWith('bf16') ? 'bfloat16' : 'float32');

const common = { classes: 10, multipliers: [1, 2, 2], groups: 8 };

/** The networks, by size of the image and width: the example's, and two for small colour images. */
export const networks: Readonly<Record<string, UnetConfig>> = {
  '28x28-w16': { ...common, height: 28, width: 28, channels: 1, base: 16, blocks: 1, attention: [7] },
  '32x32-w32': { ...common, height: 32, width: 32, channels: 3, base: 32, blocks: 2, attention: [8] },
  '32x32-w64': { ...common, height: 32, width: 32, channels: 3, base: 64, blocks: 2, attention: [8] },
};

export const batches = [1, 16, 64] as const;

/** Everything the workloads are made of beside the network and the batch, the same in all variants. */
export const settings = { w: 2, lambdaMin: -12, lambdaMax: 12, learningRate: 1e-4, emaDecay: 0.9999 } as const;

/** DDIM steps of a call. A larger batch takes fewer, all alike, so that its calls end in the time of a run. */
export const stepsOf = (batch: number): number => (batch === 1 ? 50 : 10);

/** What a worker is asked to load. Files are safetensors. */
export interface Job {
  case: Case;
  batch: number;
  config: UnetConfig;
  weights: string;
  inputs: string;
  /** The sampling grid λ_1 < … < λ_T. */
  lambdas: readonly number[];
  w: number;
  learningRate: number;
  emaDecay: number;
}
