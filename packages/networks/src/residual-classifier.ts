import { checkInteger, checkShape } from '@logsnr/core';
import { conv, groupNorm, linear, type Module, module, ops, sequential } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { Classifier } from './conv-classifier.js';

/** The size of a {@link residualClassifier}. */
export interface ResidualClassifierConfig {
  /** Pixels of an image. Each is divisible by 2 for every level but the first. */
  height: number;
  width: number;
  /** Channels of an image. */
  channels: number;
  classes: number;
  /** Channels of each level, each divisible by `groups`. The last is the number of features. Default [16, 64, 128]. */
  widths?: readonly number[];
  /** Groups of the group norms. Default 8. */
  groups?: number;
}

/**
 * A residual classifier of clean images (He et al. 2016, arXiv 1603.05027): a 3×3 convolution, then a level for each width. A
 * level is a block of group norm, SiLU and 3×3 convolution, twice, with a 1×1 convolution around it where the channels change;
 * 2×2 mean pooling stands before each level but the first. The mean over all pixels of the last, normed, is the features
 * [n, widths.at(-1)]. A linear map gives the logits.
 * @throws RangeError on sizes that are no positive integers or do not divide, and in `apply` on shapes that do not fit.
 */
export function residualClassifier(config: ResidualClassifierConfig): Classifier {
  const { height, width, channels, classes, widths = [16, 64, 128], groups = 8 } = config;
  for (const [what, size] of Object.entries({ height, width, channels, groups })) checkInteger(what, size, 1);
  checkInteger('classes', classes, 2);
  checkInteger('the number of widths', widths.length, 1);
  const factor = 2 ** (widths.length - 1);
  for (const [what, size] of Object.entries({ height, width }))
    if (size % factor !== 0)
      throw new RangeError(
        `${what} is ${size}; with ${widths.length} widths it is halved ${widths.length - 1} times, so it must be divisible by ${factor}.`,
      );
  const [first, last] = [widths[0] as number, widths.at(-1) as number];
  const parts = {
    stem: conv(channels, first),
    levels: widths.map((to, i) => block(widths[i - 1] ?? first, to, groups)),
    norm: groupNorm(last, groups, { silu: true }),
    logits: linear(last, classes),
  };
  return module(parts, (used, images: tf.Tensor) => {
    checkShape('images', images, [null, height, width, channels]);
    const x = used.levels.reduce(
      (y, level, i) => level(i > 0 ? ops.downsample(y) : y),
      used.stem(images as tf.Tensor4D),
    );
    const features = tf.mean(used.norm(x), [1, 2]) as tf.Tensor2D;
    return { features, logits: used.logits(features) as tf.Tensor2D };
  });
}

/** x + f(x), or x W + f(x) where the channels change. The last convolution begins at zero. */
function block(from: number, to: number, groups: number): Module<tf.Tensor4D, tf.Tensor4D> {
  const half = (from: number, zero: boolean) =>
    sequential(groupNorm(from, groups, { silu: true }), conv(from, to, { zero }));
  const parts = {
    first: half(from, false),
    second: half(to, true),
    skip: from === to ? undefined : linear(from, to, { bias: false }),
  };
  return module(parts, ({ first, second, skip }, x: tf.Tensor4D) => tf.add(skip ? skip(x) : x, second(first(x))));
}
