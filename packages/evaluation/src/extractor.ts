import type { FeatureOrigin } from '@logsnr/metrics';
import type { Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';

/** Features [n, d], and class probabilities [n, classes] or null. */
export interface Found {
  readonly features: Tensor2D;
  readonly probabilities: Tensor2D | null;
}

/** A network in whose features images are compared, with its weights. */
export interface Extractor extends FeatureOrigin {
  /** Channels of an image: 3 for colours, 1 for grey. */
  readonly channels: number;
  /** The size of an image, where it takes one size alone. */
  readonly size?: { readonly height: number; readonly width: number } | undefined;
  /** Whose class probabilities it gives; null where it gives none. */
  readonly classifier: string | null;
  /** Images [n, h, w, channels] in [−1, 1], borrowed → what the network finds, the caller's. It leaves no other tensors. */
  read(images: Tensor4D): Found | Promise<Found>;
  /** Frees its weights. */
  dispose(): void;
}

/** An extractor that waits for nothing: the network runs on the backend. */
export interface DirectExtractor extends Extractor {
  read(images: Tensor4D): Found;
}
