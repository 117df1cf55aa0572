import { checkShape, type Network, type Parameters } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { groupNorm } from './ops/group-norm.js';
import { initialise, reader, shapesOf } from './parameters.js';
import { type UnetConfig, unetLevels } from './unet-config.js';
import { unetParameters } from './unet-parameters.js';
import { checkPerturbation, type UnetPerturbation } from './unet-perturbation.js';
import { unetPlan } from './unet-plan.js';
import { convolve, embed, filmTable, norm, walk } from './unet-walk.js';

/**
 * The U-Net of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233, section 3) conditioned on λ and a class, as a value.
 *
 * Residual blocks of group norm, SiLU and 3×3 convolution, whose second norm is scaled and shifted by the embedding of
 * λ and class; self-attention at the given resolutions; mean pooling down, nearest neighbours and a convolution up;
 * the features of the way down are joined to those of the way up. The last convolution of every branch and of the
 * network starts at zero, so fresh parameters give 0 everywhere.
 *
 * `apply` takes z [n, height, width, channels], λ [n] in nats and labels int32 [n], where the label `classes` is ∅.
 * Labels are not read back, so one outside [0, classes] is no error: it counts as no class embedding at all. In the place
 * of labels it takes class embeddings, float32 [n, embedding]; see `classEmbeddings`.
 *
 * With a `perturbation` it is a weaker network with the same parameters, to be guided away from.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function unet(config: UnetConfig, perturbation?: UnetPerturbation): Network<tf.Tensor1D> {
  const levels = unetLevels(config);
  const { height, width, channels, classes, base, blocks, groups, embedding = 4 * base } = config;
  const steps = unetPlan(levels, blocks, channels);
  if (perturbation) checkPerturbation(perturbation, steps);
  const specs = unetParameters(config, steps);

  return {
    shapes: shapesOf(specs),
    init: (k) => initialise(specs, k),
    apply(parameters: Parameters, z, lambda, labels) {
      checkShape('z', z, [null, height, width, channels]);
      const n = z.shape[0] as number;
      checkShape('lambda', lambda, [n]);
      if (classes > 0) checkCondition(labels, n, classes, embedding);
      const read = reader(specs, parameters);
      return tf.tidy(() => {
        const films = filmTable(
          steps,
          read,
          embed(read, lambda as tf.Tensor1D, classes > 0 ? labels : undefined, base),
        );
        const context = { read, films, groups, perturbation };
        const walked = walk(steps, context, z as tf.Tensor4D);
        const last = { ...norm(read, 'out.norm'), silu: true };
        const x = groupNorm(walked, groups, last);
        return convolve(read, 'out', x);
      });
    },
  };
}

function checkCondition(condition: tf.Tensor, n: number, classes: number, embedding: number): void {
  const embedded = condition.rank === 2 && condition.dtype === 'float32';
  checkShape(embedded ? 'the class embeddings' : 'the condition', condition, embedded ? [n, embedding] : [n]);
  if (!embedded && condition.dtype !== 'int32')
    throw new TypeError(`the condition has type ${condition.dtype}; labels are int32 numbers in [0, ${classes}].`);
}
