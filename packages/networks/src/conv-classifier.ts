import { checkInteger, checkShape } from '@logsnr/core';
import { conv, linear, type Module, module, ops, type Run, type Used } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

/** The size of a {@link convClassifier}. */
export interface ConvClassifierConfig {
  /** Pixels of an image, each divisible by 2 for every convolution. */
  height: number;
  width: number;
  /** Channels of an image. */
  channels: number;
  classes: number;
  /** Channels of each convolution. Default [16, 32]. */
  widths?: readonly number[];
  /** Number of features. Default 64. */
  features?: number;
}

/** A network that tells the class of an image. Images [n, h, w, channels] give logits, and the features before them. */
export type Classifier = Module<tf.Tensor, { logits: tf.Tensor2D; features: tf.Tensor2D }>;

/**
 * A small convolutional classifier. Squares of 2×2 pixels become channels. Each width is a 3×3 convolution and ReLU, and 2×2
 * mean pooling stands between two of them. A linear map of all pixels and a ReLU give the features. One more linear map
 * gives the logits.
 *
 * The features are none below 0. A Fréchet distance between sets of images is measured in their space.
 * @throws RangeError on sizes that are no positive integers or do not divide, and in `apply` on shapes that do not fit.
 */
export function convClassifier(config: ConvClassifierConfig): Classifier {
  const { height, width, channels, classes, widths = [16, 32], features = 64 } = config;
  const factor = checkConfig({ height, width, channels, classes, widths, features });
  const flat = (height / factor) * (width / factor) * (widths[widths.length - 1] as number);
  const convs = widths.map((to, i) => [`conv${i}`, conv(widths[i - 1] ?? 4 * channels, to, { gain: 2 })] as const);
  const dense = {
    features: linear(flat, features, { gain: 2 }),
    logits: linear(features, classes),
  };
  return module({ ...Object.fromEntries(convs), ...dense }, (used, images: tf.Tensor) => {
    checkShape('images', images, [null, height, width, channels]);
    let x = tf.reshape(ops.patchify(images as tf.Tensor4D, 2), [
      -1,
      height / 2,
      width / 2,
      4 * channels,
    ]) as tf.Tensor4D;
    widths.forEach((_, i) => {
      const convolve = (used as unknown as Record<string, Layer>)[`conv${i}`] as Layer;
      x = tf.relu(convolve(i > 0 ? ops.downsample(x) : x)) as tf.Tensor4D;
    });
    const { features, logits } = used as unknown as Used<typeof dense>;
    const found = tf.relu(features(tf.reshape(x, [x.shape[0], -1]))) as tf.Tensor2D;
    return { logits: logits(found) as tf.Tensor2D, features: found };
  });
}

type Layer = Run<tf.Tensor, tf.Tensor>;

/** Throws on sizes that do not fit. Returns the factor by which the poolings shrink height and width. */
function checkConfig({ height, width, channels, classes, widths, features }: Required<ConvClassifierConfig>): number {
  for (const [what, size] of Object.entries({ height, width, channels, features })) checkInteger(what, size, 1);
  checkInteger('classes', classes, 2);
  if (widths.length === 0) throw new RangeError('widths is empty; give the channels of at least one convolution.');
  for (const [i, size] of widths.entries()) checkInteger(`widths[${i}]`, size, 1);
  const factor = 2 ** widths.length;
  for (const [what, size] of Object.entries({ height, width }))
    if (size % factor !== 0)
      throw new RangeError(
        `${what} is ${size}; with ${widths.length} widths it is halved as often, so it must be divisible by ${factor}.`,
      );
  return factor;
}
