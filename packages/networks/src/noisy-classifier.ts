import { checkInteger } from '@logsnr/core';
import { groupNorm, linear, type Module, module, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { noiseEmbedding } from './noise-embedding.js';
import { checkInput, type Level, type UnetConfig, unetLevels } from './unet-config.js';
import { filmsOf, goDown, stageMaker, wayDown } from './unet-stages.js';

/** A classifier of noised data: the logits [n, classes] of z [n, height, width, channels] at λ [n]. */
export type NoisyClassifier = Module<{ readonly z: tf.Tensor; readonly lambda: tf.Tensor1D }, tf.Tensor2D>;

/**
 * The noise-aware classifier of classifier guidance (Dhariwal & Nichol 2021, arXiv 2105.05233, section 4). It is the way down
 * and the middle of ADM's U-Net, conditioned on λ. Group norm, SiLU, the mean over the pixels and a linear map follow. ADM
 * pools by attention instead of the mean.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes that do not fit.
 */
export function noisyClassifier(config: UnetConfig): NoisyClassifier {
  const levels = unetLevels(config);
  const { height, width, channels, classes, base, blocks, groups, embedding = 4 * base } = config;
  checkInteger('classes', classes, 2);
  const last = (levels[levels.length - 1] as Level).channels;
  const parts = {
    lambda: noiseEmbedding(config.time, base, embedding),
    ...wayDown(levels, blocks, channels, stageMaker(config)).parts,
    out: { norm: groupNorm(last, groups, { silu: true }) },
    logits: linear(last, classes),
  };
  return module(parts, (used, { z, lambda }: { z: tf.Tensor; lambda: tf.Tensor1D }) => {
    checkInput(z, [null, height, width, channels], lambda);
    const films = filmsOf([...used.down, used.middle], ops.silu(used.lambda(lambda)));
    const { x } = goDown(used, z as tf.Tensor4D, films);
    return used.logits(tf.mean(used.out.norm(x), [1, 2])) as tf.Tensor2D;
  });
}
