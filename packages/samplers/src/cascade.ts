import { checkInteger, fold, free, type Key } from '@logsnr/core';
import { clipByValue, type Tensor } from '@tensorflow/tfjs-core';
import type { CompiledSampler } from './compile-sampler.js';

/** What a stage of a {@link cascade} draws, and how. */
export interface CascadeStage<C> {
  /** A sampler and a model, guided with a weight of this stage's own; compiled or not. */
  readonly draw: Pick<CompiledSampler<C>, 'sample'>;
  /** λ_1 < … < λ_T of this stage. */
  readonly lambdas: readonly number[];
  /** Shape of one image. */
  readonly shape: readonly number[];
}

/** A stage that draws on the images of the one before. */
export interface UpsamplingStage<C, D> extends CascadeStage<D> {
  /**
   * The condition of this stage, which the cascade frees: of the images of the stage before, in [−1, 1], and of the cascade's own
   * condition, both borrowed. What is random in it comes from `key` and the sample's number alone.
   */
  readonly condition: (images: Tensor, condition: C, where: { key: Key; firstSample: number }) => D;
}

export interface CascadeOptions<C> {
  /** Conditions of the n samples; borrowed. */
  readonly condition: C;
  /** n. */
  readonly samples: number;
  /** All noise is a function of this key, the stage, the sample's number and the step. */
  readonly key: Key;
  /** Number of the first sample in its run (0). */
  readonly firstSample?: number;
}

/**
 * A cascade (CDM: Ho et al. 2021, arXiv 2106.15282, algorithm 2): p(x_0) p(x_1 | x_0) p(x_2 | x_1) …, each a diffusion model of its own
 * resolution. A stage is conditioned on the image before it, which `condition` may give noise: `augmented` of `@logsnr/networks` is the
 * paper's conditioning augmentation, whose level the network is told. Each stage has its sampler, its grid and its guidance.
 *
 * Sample i is the same whatever the batch.
 * @returns a function that draws: the images of every stage, the last being the result; the caller's.
 * @throws RangeError, of that function, unless `samples` is a positive integer, and as `sample` does.
 */
export function cascade<C, D>(
  first: CascadeStage<C>,
  ...rest: readonly UpsamplingStage<C, D>[]
): (options: CascadeOptions<C>) => Tensor[] {
  return ({ condition, samples, key, firstSample = 0 }) => {
    checkInteger('samples', samples, 1);
    const place = (stage: number, { lambdas, shape }: Pick<CascadeStage<C>, 'lambdas' | 'shape'>) => ({
      ...{ lambdas, shape: [samples, ...shape], key: fold(key, stage, 0), firstSample },
    });
    const drawn = [first.draw.sample({ ...place(0, first), condition })];
    try {
      for (const [i, stage] of rest.entries()) {
        const images = clipByValue(drawn[i] as Tensor, -1, 1);
        const own: D[] = [];
        try {
          own.push(stage.condition(images, condition, { key: fold(key, i + 1, 1), firstSample }));
          drawn.push(stage.draw.sample({ ...place(i + 1, stage), condition: own[0] as D }));
        } finally {
          free([images, own]);
        }
      }
      return drawn;
    } catch (error) {
      free(drawn);
      throw error;
    }
  };
}
