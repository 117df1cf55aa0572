import { checkInteger, checkShape, type Key, type Parameters } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { groupNorm } from './ops/group-norm.js';
import { initialise, type ParameterSpecs, reader, shapesOf } from './parameters.js';
import { type UnetConfig, unetLevels } from './unet-config.js';
import { lambdaParameters, linear, norm as normParameters, stepParameters } from './unet-parameters.js';
import { type Step, unetPlan } from './unet-plan.js';
import { affine, embed, filmTable, norm, walk } from './unet-walk.js';

/** A classifier of noised data, as a value: it holds no weights. */
export interface NoisyClassifier {
  /** Name and shape of each parameter, in a fixed order. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Fresh parameters, a function of the key alone. The caller owns them. */
  init(k: Key): Parameters;
  /** The logits [n, classes] of z [n, height, width, channels] at λ [n]. Differentiable in z and the parameters. */
  apply(parameters: Parameters, z: tf.Tensor, lambda: tf.Tensor1D): tf.Tensor2D;
}

/**
 * The noise-aware classifier of classifier guidance: the way down and the middle of the U-Net of ADM (Dhariwal & Nichol
 * 2021, arXiv 2105.05233, section 4), conditioned on λ, then group norm, SiLU, the mean over the pixels and a linear map.
 * ADM pools by attention instead of the mean.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes that do not fit.
 */
export function noisyClassifier(config: UnetConfig): NoisyClassifier {
  const levels = unetLevels(config);
  const { height, width, channels, classes, base, blocks, groups, embedding = 4 * base } = config;
  checkInteger('classes', classes, 2);
  const steps = wayDown(unetPlan(levels, blocks, channels));
  const last = (levels[levels.length - 1] as { channels: number }).channels;
  const specs: ParameterSpecs = {
    ...lambdaParameters(base, embedding),
    ...Object.assign({}, ...steps.map((step) => stepParameters(step, embedding))),
    ...normParameters('out.norm', last),
    ...linear('logits', last, classes),
  };
  return {
    shapes: shapesOf(specs),
    init: (k) => initialise(specs, k),
    apply(parameters, z, lambda) {
      checkShape('z', z, [null, height, width, channels]);
      checkShape('lambda', lambda, [z.shape[0] as number]);
      const read = reader(specs, parameters);
      return tf.tidy(() => {
        const films = filmTable(steps, read, embed(read, lambda, undefined, base));
        const walked = walk(steps, { read, films, groups }, z as tf.Tensor4D);
        const features = groupNorm(walked, groups, { ...norm(read, 'out.norm'), silu: true });
        return affine(read, 'logits', tf.mean(features, [1, 2]) as tf.Tensor2D);
      });
    },
  };
}

/** The steps before the way up, which alone takes back what is kept. */
const wayDown = (steps: readonly Step[]): Step[] =>
  steps
    .slice(
      0,
      steps.findIndex(({ kind }) => kind === 'join'),
    )
    .filter(({ kind }) => kind !== 'keep');
