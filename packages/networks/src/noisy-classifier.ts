import { checkChoice, checkInteger } from '@logsnr/core';
import { attentionPool, groupNorm, linear, type Module, module, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { noiseEmbedding } from './noise-embedding.js';
import { checkInput, headsOf, type Level, type UnetConfig, unetLevels } from './unet-config.js';
import { filmsOf, goDown, stageMaker, wayDown } from './unet-stages.js';

/** A classifier of noised data: the logits [n, classes] of z [n, height, width, channels] at λ [n]. */
export type NoisyClassifier = Module<{ readonly z: tf.Tensor; readonly lambda: tf.Tensor1D }, tf.Tensor2D>;

/** The size and shape of a {@link noisyClassifier}. */
export interface NoisyClassifierConfig extends UnetConfig {
  /** How the last feature map becomes one vector: the mean of its pixels, or by attention as in ADM. Default `mean`. */
  pool?: 'mean' | 'attention';
}

/**
 * The noise-aware classifier of classifier guidance (Dhariwal & Nichol 2021, arXiv 2105.05233, section 4). It is the way down
 * and the middle of ADM's U-Net, conditioned on λ. Group norm, SiLU, pooling and a linear map follow. See `attentionPool` of
 * `@logsnr/nn` for ADM's pooling.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes that do not fit.
 */
export function noisyClassifier({ pool = 'mean', ...config }: NoisyClassifierConfig): NoisyClassifier {
  checkChoice('pool', pool, ['mean', 'attention']);
  const levels = unetLevels(config);
  const { height, width, channels, classes, base, groups, epsilon, embedding = 4 * base } = config;
  checkInteger('classes', classes, 2);
  const last = levels[levels.length - 1] as Level;
  const tokens = (last.height ** 2 * width) / height;
  const heads = pool === 'attention' ? headsOf(config, last.channels) : 0;
  const parts = {
    lambda: noiseEmbedding(config.time, base, embedding),
    ...wayDown(config, levels, channels, stageMaker(config)).parts,
    out: { norm: groupNorm(last.channels, groups, { silu: true, epsilon }) },
    ...(heads === 0
      ? { logits: linear(last.channels, classes), pool: undefined }
      : { logits: undefined, pool: attentionPool(last.channels, classes, { tokens, heads }) }),
  };
  return module(parts, (used, { z, lambda }: { z: tf.Tensor; lambda: tf.Tensor1D }) => {
    checkInput(z, [null, height, width, channels], lambda);
    const films = filmsOf([...used.down, used.middle], ops.silu(used.lambda(lambda)), config);
    const x = used.out.norm(goDown(used, z as tf.Tensor4D, films).x);
    return used.pool?.(x) ?? (used.logits?.(tf.mean(x, [1, 2])) as tf.Tensor2D);
  });
}
