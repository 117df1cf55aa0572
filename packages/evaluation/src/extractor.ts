import type { Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';

/** A network in whose features images are compared. Two sets of features compare only where all but the last three members are equal. */
export interface Extractor {
  /** Such as `Inception of 2015-12-05, pool3`. */
  readonly name: string;
  /** Of its weights. */
  readonly sha256: string;
  /** What it does to an image first: the size, and how it gets there. */
  readonly resize: string;
  /** Whose class probabilities it gives; null where it gives none. */
  readonly classifier: string | null;
  /** Images [n, h, w, c] in [−1, 1], borrowed → features [n, d] and probabilities [n, classes] or null, the caller's. */
  read(images: Tensor4D): { readonly features: Tensor2D; readonly probabilities: Tensor2D | null };
  /** Frees its weights. */
  dispose(): void;
}
