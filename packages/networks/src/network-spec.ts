import { checkChoice } from '@logsnr/core';
import type { Network } from '@logsnr/nn';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { dit } from './dit.js';
import type { DitConfig } from './dit-config.js';
import { type NoisyClassifier, type NoisyClassifierConfig, noisyClassifier } from './noisy-classifier.js';
import { type SuperResolutionCondition, type SuperResolutionConfig, superResolution } from './super-resolution.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';

/** The configuration of each kind of network. */
interface Configs {
  unet: UnetConfig;
  dit: DitConfig;
  'super-resolution': SuperResolutionConfig;
  'noisy-classifier': NoisyClassifierConfig;
}

interface Networks {
  unet: Network<Tensor1D>;
  dit: Network<Tensor1D>;
  'super-resolution': Network<SuperResolutionCondition>;
  'noisy-classifier': NoisyClassifier;
}

/** {@link unet}, {@link dit}, {@link superResolution} or {@link noisyClassifier}. */
export type NetworkKind = keyof Configs;

/** A network as data: JSON values alone. */
export type NetworkSpec<Kind extends NetworkKind = NetworkKind> = {
  readonly [K in Kind]: { readonly kind: K; readonly config: Configs[K] };
}[Kind];

/** What {@link networkOf} makes of a kind. */
export type NetworkOf<Kind extends NetworkKind> = Networks[Kind];

const makers: { readonly [K in NetworkKind]: (config: Configs[K]) => Networks[K] } = {
  unet,
  dit,
  'super-resolution': superResolution,
  'noisy-classifier': noisyClassifier,
};

/**
 * The network of a preset, or of a specification that stands under `network`.
 * @throws RangeError on a configuration that fits no network.
 */
export function networkOf<Kind extends NetworkKind>({
  network: { kind, config },
}: {
  readonly network: NetworkSpec<Kind>;
}): NetworkOf<Kind> {
  checkChoice("the network's kind", kind, Object.keys(makers));
  return makers[kind as Kind](config as Configs[Kind]);
}
