import { fold, free, type Key } from '@logsnr/core';
import { batch, type ImageSet, shuffledIndices } from '@logsnr/data';
import {
  accuracy,
  frechetDistance,
  type GaussianStatistics,
  gaussianStatistics,
  inceptionScore,
} from '@logsnr/metrics';
import { type Classifier, convClassifier } from '@logsnr/networks';
import { logProbability } from '@logsnr/nn';
import { adam, cosineDecay, type OptimizeOptions, type OptimizeResult, optimize } from '@logsnr/training';
import { mean, neg, type Tensor1D, type Tensor4D } from '@tensorflow/tfjs-core';
import { type Classify, type Extracted, type ExtractOptions, extract } from './extract.js';

/** How good images are, in the eyes of one judge. */
export interface Scores {
  /**
   * The Fréchet distance of the judge's features to those of its test set. It compares with that of other images under the
   * same judge, not with an FID in Inception features.
   */
  readonly fid: number;
  /** The Inception Score of the judge's probabilities. */
  readonly is: number;
  /** The share of images that the judge reads as what they should be, in [0, 1]. */
  readonly accuracy: number;
}

/** A trained classifier that tells how good generated images are. */
export interface Judge {
  /** Features and probabilities of images. */
  extract(images: Tensor4D | ImageSet, options?: ExtractOptions): Promise<Extracted>;
  /** The scores of images that should show `labels`. */
  score(images: Tensor4D | ImageSet, labels: ArrayLike<number>): Promise<Scores>;
  /** The share of the test set that the judge reads right, in [0, 1]. */
  readonly accuracy: number;
  /** The test set's features, what the Fréchet distance is measured from. */
  readonly reference: GaussianStatistics;
}

type JudgeWeights = OptimizeResult['parameters'];
type Inputs = { readonly images: Tensor4D; readonly labels: Tensor1D };

export interface TrainJudgeOptions
  extends Omit<OptimizeOptions<Inputs>, 'loss' | 'inputs' | 'images' | 'optimizer' | 'parameters' | 'key'> {
  /** Labelled images, such as MNIST's training set. */
  readonly data: ImageSet;
  /** The seed of everything random. */
  readonly key: Key;
  /** 1500 unless given. */
  readonly steps?: number;
  /** Images a step; 64 unless given. */
  readonly batch?: number;
}

/**
 * Trains the small classifier that judges generated images, with cross-entropy: on MNIST's defaults it reads about 98.8 %
 * of the test images right. It takes the hooks of a run folder, `(run) => trainJudge({ …, ...run })`, so it can resume.
 * @returns the final state, whose tensors the caller owns; give its `parameters` to {@link judgeOf}.
 * @throws as `optimize` and `convClassifier` do.
 */
export async function trainJudge({
  data,
  key,
  steps = 1500,
  batch: size = 64,
  ...run
}: TrainJudgeOptions): Promise<OptimizeResult> {
  const network = networkOf(data);
  const parameters = network.init(fold(key, 0));
  try {
    return await optimize<Inputs>({
      ...run,
      parameters,
      steps,
      inputs: (step) => batch(data, shuffledIndices(fold(key, 1), data.count, step, size)),
      loss: (weights, { images, labels }) => neg(mean(logProbability(network.apply(weights, images).logits, labels))),
      optimizer: adam({ learningRate: cosineDecay(4e-3), warmup: 20 }),
      images: ({ labels }) => labels.size,
    });
  } finally {
    free(parameters);
  }
}

/**
 * The judge with these weights. It reads `test` once, for its own accuracy and for the statistics that images are compared
 * with.
 * @param parameters of {@link trainJudge}, borrowed as long as the judge is used.
 */
export function judgeOf(parameters: JudgeWeights, test: ImageSet): Promise<Judge> {
  const network = networkOf(test);
  return judgeBy((images) => network.apply(parameters, images), test);
}

/**
 * Any classifier as a judge: a network, or the `read` of an extractor that has classes, such as `packagedClassifier` gives. It reads
 * `test` once, as {@link judgeOf} does.
 */
export async function judgeBy(classify: Classify, test: ImageSet): Promise<Judge> {
  const read: Judge['extract'] = (images, options) => extract(classify, images, options);
  const own = await read(test);
  const reference = gaussianStatistics(own.features);
  return {
    extract: read,
    async score(images, labels) {
      const { features, probabilities } = await read(images);
      return {
        fid: frechetDistance(gaussianStatistics(features), reference),
        is: inceptionScore({ ...probabilities, classifier: 'judge' }).mean,
        accuracy: accuracy(probabilities, labels),
      };
    },
    accuracy: accuracy(own.probabilities, test.labels),
    reference,
  };
}

const networkOf = ({ height, width, channels, classes }: ImageSet): Classifier =>
  convClassifier({ height, width, channels, classes });
