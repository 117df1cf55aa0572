import { type Conditioning, checkInteger, checkKnown, checkShape, diffuse, type Key, normal } from '@logsnr/core';
import { module, type Network, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { noiseEmbedding } from './noise-embedding.js';
import { unet } from './unet.js';
import { type Conditioned, classCondition } from './unet-condition.js';
import type { UnetConfig } from './unet-config.js';

/** The size and shape of a {@link superResolution}: a U-Net, and what it is given beside z. */
export interface SuperResolutionConfig extends UnetConfig {
  /** The low-resolution image. Its channels are by default those of z. */
  low: { height: number; width: number; channels?: number };
  /** Whether that image has noise of its own, whose log-SNR the network is told. Default false. */
  noise?: boolean;
}

/** What a {@link superResolution} is conditioned on. */
export interface SuperResolutionCondition {
  /** The low-resolution image, [n, h, w, channels]. */
  readonly image: tf.Tensor4D;
  /** The log-SNR of that image, [n], in nats. For a network with `noise` alone. */
  readonly lambda?: tf.Tensor1D | undefined;
  /** Labels, int32 [n], of which `classes` is ∅. For a network with classes alone. */
  readonly label?: tf.Tensor1D | undefined;
}

/**
 * A U-Net for p(x | a low-resolution image), as in cascades (Dhariwal & Nichol 2021, arXiv 2105.05233, section 4.4; Ho et al.
 * 2021, arXiv 2106.15282). The low-resolution image is resized to z's size by bilinear interpolation and joined to z's
 * channels. With `noise` it is α x + σ ε at a log-SNR of its own, whose embedding is added to that of z's: the
 * conditioning augmentation of section 4.2 of the second paper. So is the embedding of a label.
 *
 * z is [n, height, width, channels], and the output is as that of a `unet`.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function superResolution(config: SuperResolutionConfig): Network<SuperResolutionCondition> {
  const { low, noise = false, ...own } = config;
  checkKnown('low', low, ['height', 'width', 'channels']);
  const { height, width, classes, nullClass, base, embedding = 4 * base } = own;
  const { channels = own.channels } = low;
  for (const [what, size] of Object.entries({ ...low, channels })) checkInteger(`low.${what}`, size, 1);
  const ofClass = classes > 0 ? classCondition(classes, embedding, { nullClass }) : undefined;
  const parts = { class: ofClass?.module, noise: noise ? noiseEmbedding(undefined, base, embedding) : undefined };
  type Input = { condition: SuperResolutionCondition; z: tf.Tensor4D };
  return unet(own, {
    condition: {
      channels,
      module: module(parts, (used, { condition: { image, lambda, label }, z }: Input): Conditioned => {
        const ofLabel = used.class?.({ condition: label as tf.Tensor1D, z }).vector;
        const ofNoise = used.noise?.(lambda as tf.Tensor1D);
        const vector = ofLabel && ofNoise ? (tf.add(ofLabel, ofNoise) as tf.Tensor2D) : (ofLabel ?? ofNoise);
        return { image: ops.bilinear(image, height, width), vector };
      }),
      check(condition, n) {
        const { image, lambda, label } = partsOf(condition);
        checkFloats(IMAGE, image, [n, low.height, low.width, channels]);
        if (noise) checkFloats(LAMBDA, lambda as tf.Tensor, [n]);
        else checkUnused('lambda', lambda, 'noise');
        if (ofClass) ofClass.check?.(label as tf.Tensor1D, n);
        else checkUnused('label', label, 'classes');
      },
    },
  });
}

/**
 * Conditioning augmentation with Gaussian noise (Ho et al. 2021, arXiv 2106.15282, section 4.2): a condition whose image is α x + σ ε at
 * the log-SNR `lambda` [n], in nats, which a network with `noise` is told. In training λ is drawn for each image; in sampling it is
 * chosen once, where samples are best. The noise of image i depends on (key, `firstSample` + i) alone.
 * @param given a low-resolution image x [n, h, w, channels] without noise, its λ and label; borrowed.
 * @returns a condition that the caller owns.
 * @throws RangeError on an image or λ of another shape.
 */
export function augmented(
  given: SuperResolutionCondition & { readonly lambda: tf.Tensor1D },
  { key, firstSample = 0 }: { key: Key; firstSample?: number },
): SuperResolutionCondition & { readonly lambda: tf.Tensor1D } {
  const { image, lambda, label } = partsOf(given) as typeof given;
  checkShape(IMAGE, image, [null, null, null, null]);
  checkShape(LAMBDA, lambda, [image.shape[0]]);
  const noised = tf.tidy(() => diffuse(image, normal(key, image.shape, firstSample), lambda) as tf.Tensor4D);
  return { image: noised, lambda: lambda.clone(), label: label?.clone() };
}

/**
 * The conditioning of a {@link superResolution}, by that of its labels, such as `labels(1000)` of `@logsnr/core`. ∅ is the label's ∅
 * beside the same image with the same noise, so guidance is towards the class. Without labels nothing is dropped, and
 * there is no ∅.
 * @throws RangeError for ∅ of conditions without a label.
 */
export function superResolutionConditioning(
  labels?: Conditioning<tf.Tensor1D>,
): Conditioning<SuperResolutionCondition> {
  const changed = (given: SuperResolutionCondition, change: (label: tf.Tensor1D) => tf.Tensor1D) => {
    const { image, lambda, label } = partsOf(given);
    return { image: image.clone(), lambda: lambda?.clone(), label: label && change(label) };
  };
  return {
    drop: (given, mask) => changed(given, (label) => labels?.drop(label, mask) ?? label.clone()),
    nullCondition(given) {
      if (!labels || !partsOf(given).label)
        throw new RangeError(
          'the conditions have no label and so no ∅; sample without guidance, or guide by another model, as `autoguidance` does.',
        );
      return changed(given, (label) => labels.nullCondition(label));
    },
    concat: (a, b) => ({
      image: tf.concat([a.image, b.image]),
      lambda: a.lambda && b.lambda && tf.concat([a.lambda, b.lambda]),
      label: a.label && b.label && (labels?.concat(a.label, b.label) ?? tf.concat([a.label, b.label])),
    }),
    check(given, n) {
      const { image, lambda, label } = partsOf(given);
      checkShape(IMAGE, image, [n, null, null, null]);
      if (lambda) checkShape(LAMBDA, lambda, [n]);
      if (label) labels?.check?.(label, n);
    },
  };
}

const IMAGE = 'the low-resolution image';
const LAMBDA = 'the lambda of the low-resolution image';

function partsOf(condition: SuperResolutionCondition): SuperResolutionCondition {
  if (typeof condition === 'object' && condition !== null && 'image' in condition) return condition;
  throw new TypeError(
    'the condition has no image; give { image, label, lambda }, of which `image` is of low resolution.',
  );
}

/** @throws RangeError or TypeError unless x is float32 of this shape. */
function checkFloats(what: string, x: tf.Tensor, shape: readonly number[]): void {
  checkShape(what, x, shape);
  if (x.dtype !== 'float32') throw new TypeError(`${what} is of type ${x.dtype}; it must be of float32.`);
}

/** @throws RangeError where the condition has what the network would not look at. */
function checkUnused(what: string, value: unknown, lacks: string): void {
  if (value !== undefined)
    throw new RangeError(`the condition has a ${what}, but the network has no ${lacks}; leave it out.`);
}
