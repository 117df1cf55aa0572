import type { UnetConfig } from '@logsnr/networks';

/** What is timed: the network once, a step of training, or 50 guided DDIM steps. */
export const caseNames = ['forward', 'train', 'sample'] as const;
export type Case = (typeof caseNames)[number];

/** What it is timed on. The first four are this project's, the others PyTorch's. */
export const variantNames = ['eager', 'compiled', 'compiled-bf16', 'wasm', 'torch', 'torch-compile'] as const;
export type Variant = (typeof variantNames)[number];

const common = { classes: 10, multipliers: [1, 2, 2], groups: 8 };

/** The networks, by size of the image and width: the example's, and two for small colour images. */
export const networks: Readonly<Record<string, UnetConfig>> = {
  '28x28-w16': { ...common, height: 28, width: 28, channels: 1, base: 16, blocks: 1, attention: [7] },
  '32x32-w32': { ...common, height: 32, width: 32, channels: 3, base: 32, blocks: 2, attention: [8] },
  '32x32-w64': { ...common, height: 32, width: 32, channels: 3, base: 64, blocks: 2, attention: [8] },
};

export const batches = [1, 16, 64] as const;

/** Everything the workloads are made of beside the network and the batch, the same in all variants. */
export const settings = { steps: 50, w: 2, lambdaMin: -12, lambdaMax: 12, learningRate: 1e-4 } as const;

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
}
