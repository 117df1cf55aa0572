import { checkShape } from '@logsnr/core';
import { constant, linear, type Module, module, ops, type Run, weight } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { Classifier } from './conv-classifier.js';

/** A stage: how many blocks, the kernel's size, the first block's stride, how far it widens, and its channels. */
const STAGES = [
  [1, 3, 1, 1, 16],
  [2, 3, 2, 6, 24],
  [2, 5, 2, 6, 40],
  [3, 3, 2, 6, 80],
  [3, 5, 1, 6, 112],
  [4, 5, 2, 6, 192],
  [1, 3, 1, 6, 320],
] as const;
const [STEM, HEAD, CLASSES, SIZE] = [32, 1280, 1000, 224];

/**
 * EfficientNet-Lite0, a classifier of ImageNet (Tan & Le 2019, arXiv 1905.11946; its Lite form has ReLU6 and no squeeze and
 * excitation): images [n, h, w, 3] in [−1, 1] → 1,280 features, the mean over all pixels of the last layer, and the logits of 1,000
 * classes. It scales images to 224×224 itself, in straight lines between the centres of pixels, and takes (byte − 127)/128.
 *
 * Batch norm is folded into kernels and biases. Padding is TensorFlow's `same`: of an odd number of pixels the last side has one more.
 */
export function efficientnetLite0(): Classifier {
  const blocks = STAGES.flatMap(([count, size, stride, wider, to], stage) =>
    Array.from({ length: count }, (_, i) => {
      const from = i > 0 ? to : stage > 0 ? (STAGES[stage - 1] as (typeof STAGES)[number])[4] : STEM;
      return block(from, to, { size, stride: i > 0 ? 1 : stride, wider });
    }),
  );
  const parts = {
    stem: unit([3, 3, 3, STEM], (x, kernel) => tf.conv2d(x, kernel, 2, 'same')),
    blocks,
    head: pointwise(320, HEAD),
    logits: linear(HEAD, CLASSES),
  };
  return module(parts, (used, images: tf.Tensor) => {
    checkShape('images', images, [null, null, null, 3]);
    const scaled = tf.image.resizeBilinear(images as tf.Tensor4D, [SIZE, SIZE], false, true);
    const x = tf.add(tf.mul(scaled, 127.5 / 128), 0.5 / 128) as tf.Tensor4D;
    const last = used.head(used.blocks.reduce((y, each) => each(y), used.stem(x)));
    const features = tf.mean(last, [1, 2]) as tf.Tensor2D;
    return { features, logits: used.logits(features) as tf.Tensor2D };
  });
}

type Layer = Module<tf.Tensor4D, tf.Tensor4D>;

/** A convolution with its bias, and ReLU6 unless it is linear. */
const unit = (
  shape: readonly [number, number, number, number],
  map: (x: tf.Tensor4D, kernel: tf.Tensor4D) => tf.Tensor4D,
  { linear = false, bias = shape[3] }: { linear?: boolean; bias?: number } = {},
): Layer =>
  module({ kernel: weight(shape), bias: constant([bias]) }, ({ kernel, bias }, x: tf.Tensor4D) => {
    const y = tf.add(map(x, kernel as tf.Tensor4D), bias) as tf.Tensor4D;
    return linear ? y : tf.relu6(y);
  });

const pointwise = (from: number, to: number, options: { linear?: boolean } = {}): Layer =>
  unit([1, 1, from, to], (x, kernel) => ops.conv2d(x, kernel), options);

/** Widened by a 1×1 convolution, each channel by itself, narrowed again; and what went in added where it fits. */
function block(
  from: number,
  to: number,
  { size, stride, wider }: { size: number; stride: number; wider: number },
): Layer {
  const wide = from * wider;
  const parts = {
    expand: wider > 1 ? pointwise(from, wide) : undefined,
    depthwise: unit([size, size, wide, 1], (x, kernel) => tf.depthwiseConv2d(x, kernel, stride, 'same'), {
      bias: wide,
    }),
    project: pointwise(wide, to, { linear: true }),
  };
  return module(parts, ({ expand, depthwise, project }, x: tf.Tensor4D) => {
    const y = project(depthwise((expand as Run<tf.Tensor4D, tf.Tensor4D> | undefined)?.(x) ?? x));
    return stride === 1 && from === to ? tf.add(x, y) : y;
  });
}
