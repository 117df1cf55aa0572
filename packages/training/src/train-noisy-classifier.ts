import { checkShape, diffuse, fold, free, type Key, normal, type Schedule } from '@logsnr/core';
import { logProbability, type Module } from '@logsnr/nn';
import {
  mean,
  neg,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';
import { drawLambda } from './draws.js';
import { optimize } from './optimize.js';
import type { OptimizeOptions, OptimizeResult } from './optimize-options.js';

/** A classifier of noised data, such as `noisyClassifier` of `@logsnr/networks`: the logits [n, classes] of z at λ. */
export type NoisyClassifierNetwork = Module<{ readonly z: Tensor; readonly lambda: Tensor1D }, Tensor2D>;

export interface NoisyClassifierInputs {
  /** The data [n, …] and their labels, int32 [n]. */
  readonly x: Tensor;
  readonly labels: Tensor1D;
  /** Log-SNR of each sample in nats, [n], and standard normal noise of x's shape. */
  readonly lambda: Tensor1D;
  readonly eps: Tensor;
}

/**
 * Cross-entropy on noised data, −mean log p(c | z_λ) with z_λ = α x + σ ε (Dhariwal & Nichol 2021, arXiv 2105.05233, section
 * 4): what the classifier of classifier guidance is trained on. Differentiable in the parameters that `classify` uses.
 * @returns a scalar that the caller owns.
 */
export function noisyClassifierLoss(
  classify: (z: Tensor, lambda: Tensor1D) => Tensor2D,
  { x, labels, lambda, eps }: NoisyClassifierInputs,
): Scalar {
  checkShape('eps', eps, x.shape);
  checkShape('lambda', lambda, [x.shape[0] ?? null]);
  checkShape('labels', labels, [x.shape[0] ?? null]);
  return tidy(() => {
    const logits = classify(diffuse(x, eps, lambda), lambda);
    return neg(mean(logProbability(logits, labels))) as Scalar;
  });
}

export interface TrainNoisyClassifierOptions extends Omit<OptimizeOptions<unknown>, 'loss' | 'inputs' | 'images'> {
  readonly network: NoisyClassifierNetwork;
  /** p(λ), as the map from u ~ U[0, 1] to λ: that of the diffusion model, since the two are used together. */
  readonly schedule: Schedule;
  /** The data of step `step` (from 0), random by `key` alone. The loop disposes of it. */
  readonly batch: (step: number, key: Key) => { readonly images: Tensor; readonly labels: Tensor1D };
  /** The seed of everything random in the run. */
  readonly key: Key;
}

/** What `fold(key, purpose, step)` is for. The numbers are part of what a seed means and never change. */
const PURPOSE = { init: 0, data: 1, lambda: 2, noise: 4 } as const;

/**
 * Trains the noise-aware classifier of classifier guidance with {@link noisyClassifierLoss}, λ ~ p(λ) lined up over the batch.
 * @returns the final state, whose tensors the caller owns, and the losses.
 * @throws as `optimize` does.
 */
export async function trainNoisyClassifier(options: TrainNoisyClassifierOptions): Promise<OptimizeResult> {
  const { network, schedule, batch, key, ...run } = options;
  const fresh = run.from || run.parameters ? undefined : network.init(fold(key, PURPOSE.init));
  try {
    return await optimize<Record<keyof NoisyClassifierInputs, Tensor>>({
      ...run,
      ...(fresh ? { parameters: fresh } : {}),
      images: ({ x }) => x.shape[0] as number,
      inputs(step) {
        const { images: x, labels } = batch(step, fold(key, PURPOSE.data, step));
        const lambda = drawLambda(schedule, fold(key, PURPOSE.lambda, step), x.shape[0] as number);
        const eps = normal(fold(key, PURPOSE.noise, step), x.shape);
        return { x, labels, lambda: tensor1d(Float32Array.from(lambda)), eps };
      },
      loss: (parameters, inputs) =>
        noisyClassifierLoss(
          (z, lambda) => network.apply(parameters, { z, lambda }),
          inputs as unknown as NoisyClassifierInputs,
        ),
    });
  } finally {
    if (fresh) free(fresh);
  }
}
