import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Memory, Model } from './model.js';

/**
 * A model that aims at a density p̃_λ of its own at every λ, and remembers how far the samples are from it: the mean of a
 * function under p̃_λ is its mean over the samples with weights W ∝ e^{log W}.
 */
export interface WeightedModel<C> extends Model<C> {
  /** log W [n] of the samples that this memory belongs to, in nats and up to a constant. Part of the memory, so borrowed. */
  logWeights(memory: Memory): Tensor1D;
  /** The same memory with other log weights; it takes all tensors over. */
  withLogWeights(memory: Memory, logWeights: Tensor1D): Memory;
  /** p̃_λ at λ = −∞ is N(0, `startStd`² I). */
  readonly startStd: number;
}
