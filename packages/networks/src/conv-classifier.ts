import { checkInteger, checkShape, type Key, type Parameters } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { addBias } from './ops/bias.js';
import { conv2d } from './ops/conv2d.js';
import { linear } from './ops/linear.js';
import { downsample } from './ops/resample.js';
import { initialise, type ParameterSpec, reader, shapesOf, vector, weight } from './parameters.js';

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

/** A network that tells the class of an image, as a value: it holds no weights. */
export interface Classifier {
  /** Name and shape of each parameter, in a fixed order. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Fresh parameters, a function of the key alone. The caller owns them. */
  init(k: Key): Parameters;
  /** For images [n, height, width, channels] the logits [n, classes] and the features [n, d] before them. */
  apply(parameters: Parameters, images: tf.Tensor): { logits: tf.Tensor2D; features: tf.Tensor2D };
}

/**
 * A small convolutional classifier: squares of 2×2 pixels become channels, then come a 3×3 convolution and ReLU for
 * each width with 2×2 mean pooling between them, a linear map of all pixels and a ReLU, which gives the features, and
 * one more linear map to the logits.
 *
 * Weights start with deviation √(2/inputs) (He et al. 2015, arXiv 1502.01852). The features, none below 0, serve as the
 * space in which a Fréchet distance between sets of images is measured. `apply` is differentiable in everything.
 * @throws RangeError on sizes that are no positive integers or do not divide, and in `apply` on shapes that do not fit.
 */
export function convClassifier(config: ConvClassifierConfig): Classifier {
  const { height, width, channels, widths = [16, 32] } = config;
  const specs = classifierParameters(config);
  return {
    shapes: shapesOf(specs),
    init: (k) => initialise(specs, k),
    apply(parameters, images) {
      checkShape('images', images, [null, height, width, channels]);
      const read = reader(specs, parameters);
      const affine = (name: string, x: tf.Tensor2D): tf.Tensor2D =>
        addBias(linear(x, read<tf.Tensor2D>(`${name}.kernel`)), read(`${name}.bias`));
      return tf.tidy(() => {
        let x = patches(images as tf.Tensor4D);
        widths.forEach((_, i) => {
          if (i > 0) x = downsample(x);
          x = tf.relu(addBias(conv2d(x, read<tf.Tensor4D>(`conv${i}.kernel`)), read(`conv${i}.bias`)));
        });
        const features = tf.relu(affine('features', tf.reshape(x, [x.shape[0], -1])));
        return { logits: affine('logits', features), features };
      });
    },
  };
}

function classifierParameters(config: ConvClassifierConfig): Record<string, ParameterSpec> {
  const { height, width, channels, classes, widths = [16, 32], features = 64 } = config;
  for (const [what, size] of Object.entries({ height, width, channels, features })) checkInteger(what, size, 1);
  checkInteger('classes', classes, 2);
  if (widths.length === 0) throw new RangeError('widths is empty; give the channels of at least one convolution.');
  widths.forEach((size, i) => {
    checkInteger(`widths[${i}]`, size, 1);
  });
  const factor = 2 ** widths.length;
  for (const [what, size] of Object.entries({ height, width }))
    if (size % factor !== 0)
      throw new RangeError(
        `${what} is ${size}; with ${widths.length} widths it is halved as often, so it must be divisible by ${factor}.`,
      );

  const he = (shape: readonly number[], inputs: number): ParameterSpec => ({
    shape,
    init: { std: Math.sqrt(2 / inputs) },
  });
  const specs: Record<string, ParameterSpec> = {};
  widths.forEach((to, i) => {
    const from = widths[i - 1] ?? 4 * channels;
    specs[`conv${i}.kernel`] = he([3, 3, from, to], 9 * from);
    specs[`conv${i}.bias`] = vector(to);
  });
  const flat = (height / factor) * (width / factor) * (widths[widths.length - 1] as number);
  specs['features.kernel'] = he([flat, features], flat);
  specs['features.bias'] = vector(features);
  specs['logits.kernel'] = weight([features, classes]);
  specs['logits.bias'] = vector(classes);
  return specs;
}

/** Squares of 2×2 pixels as one pixel of four times the channels: [n, h, w, c] → [n, h/2, w/2, 4c]. */
function patches(x: tf.Tensor4D): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  const rows = tf.transpose(tf.reshape(x, [(n * h) / 2, 2, w / 2, 2 * c]), [0, 2, 1, 3]);
  return tf.reshape(rows, [n, h / 2, w / 2, 4 * c]);
}
