import { checkShape } from '@logsnr/core';
import { constant, type Module, module, ops, type Run, weight } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

/** Images give their features [n, 2048], and logits [n, 1008] where the weights have them, else null. */
export type Inception = Module<tf.Tensor, { readonly features: tf.Tensor2D; readonly logits: tf.Tensor2D | null }>;

/**
 * The Inception network that FID is measured with (Szegedy et al. 2016, arXiv 1512.00567; TensorFlow's graph of 2015-12-05):
 * images [n, h, w, 3] in [−1, 1] → 2048 features, the average over all places of the last layer, called pool3. It scales
 * images to 299×299 itself, as TensorFlow 1 did: pixel i of 299 lies at i h/299, without an offset by half a pixel, between its
 * neighbours in straight lines.
 *
 * Batch norm is folded into kernels and biases. Names and their order are the graph's own; `mixed_10` pools by the maximum
 * where `mixed_9` takes the mean, as that graph does and later ones do not. The mean of a pool leaves padding out.
 * @param logits whether it has the classifier's map, `logits.kernel`. Its bias is left out, as the Inception Score has it.
 */
export function inception({ logits = false }: { readonly logits?: boolean } = {}): Inception {
  const kernel = logits ? weight([2048, 1008]) : undefined;
  return module({ pool3: pool3(), logits: { kernel } }, (at, images: tf.Tensor) => {
    checkShape('images', images, [null, null, null, 3]);
    const features = at.pool3(scaled(images as tf.Tensor4D));
    const { kernel } = at.logits as { kernel: tf.Tensor2D | undefined };
    return { features, logits: kernel ? tf.matMul(features, kernel) : null };
  });
}

type Layer = Module<tf.Tensor4D, tf.Tensor4D>;
type Use = Run<tf.Tensor4D, tf.Tensor4D>;
type Options = Pick<ops.ConvOptions, 'stride' | 'padding'>;

const SIZE = 299;
const HALVE: Options = { padding: 0, stride: 2 };

/** (byte − 128)/128 of each pixel at 299×299, where byte is 127.5 (x + 1). */
const scaled = (images: tf.Tensor4D): tf.Tensor4D =>
  tf.image.resizeBilinear(tf.sub(tf.mul(images, 127.5 / 128), 0.5 / 128), [SIZE, SIZE]);

function pool3(): Module<tf.Tensor4D, tf.Tensor2D> {
  const early = {
    conv: unit(3, 32, [3, 3], HALVE),
    conv_1: unit(32, 32, [3, 3], { padding: 0 }),
    conv_2: unit(32, 64, [3, 3]),
  };
  const late = { conv_3: unit(64, 80), conv_4: unit(80, 192, [3, 3], { padding: 0 }) };
  const mixed: Readonly<Record<string, Layer>> = {
    mixed: wide(192, 32),
    mixed_1: wide(256, 64),
    mixed_2: wide(288, 64),
    mixed_3: branches({ conv: unit(288, 384, [3, 3], HALVE), tower: doubled(288, 64, 96, HALVE) }, true),
    mixed_4: long(128),
    mixed_5: long(160),
    mixed_6: long(160),
    mixed_7: long(192),
    mixed_8: branches(
      {
        tower: { conv: unit(768, 192), conv_1: unit(192, 320, [3, 3], HALVE) },
        tower_1: {
          conv: unit(768, 192),
          conv_1: unit(192, 192, [1, 7]),
          conv_2: unit(192, 192, [7, 1]),
          conv_3: unit(192, 192, [3, 3], HALVE),
        },
      },
      true,
    ),
    mixed_9: last(1280, pooledByMean(1280, 192)),
    mixed_10: last(2048, pooledByMaximum(2048, 192)),
  };
  const parts: Readonly<Record<string, Layer>> = { ...early, ...late, ...mixed };
  return module(parts, (used, x: tf.Tensor4D) => {
    const those = (names: object) => Object.keys(names).map((name) => used[name] as Use);
    const pooled = [early, late].reduce((y, each) => maxPool(through(those(each), y)), x);
    return tf.mean(through(those(mixed), pooled), [1, 2]) as tf.Tensor2D;
  });
}

/** A convolution with its bias, [rows, columns] the size of its kernel, 1×1 unless given, and ReLU. */
const unit = (from: number, to: number, size: readonly [number, number] = [1, 1], options: Options = {}): Layer =>
  layer(from, to, size, (x, kernel, bias) => ops.conv2d(x, kernel, { ...options, bias }));

const layer = (
  from: number,
  to: number,
  size: readonly [number, number],
  map: (x: tf.Tensor4D, kernel: tf.Tensor4D, bias: tf.Tensor) => tf.Tensor4D,
): Layer =>
  module(
    { kernel: weight([...size, from, to], { gain: 2 }), bias: constant([to]) },
    ({ kernel, bias }, x: tf.Tensor4D) => tf.relu(map(x, kernel as tf.Tensor4D, bias)),
  );

/** A mean over 3×3 pixels and a 1×1 convolution. Both are linear, so the one with fewer channels comes last. */
const pooledByMean = (from: number, to: number): Layer =>
  layer(from, to, [1, 1], (x, kernel, bias) => tf.avgPool(ops.conv2d(x, kernel, { bias }), 3, 1, 'same'));

const pooledByMaximum = (from: number, to: number): Layer =>
  layer(from, to, [1, 1], (x, kernel, bias) => ops.conv2d(tf.maxPool(x, 3, 1, 'same'), kernel, { bias }));

const maxPool = (x: tf.Tensor4D): tf.Tensor4D => tf.maxPool(x, 3, 2, 'valid');
const join = (parts: tf.Tensor4D[]): tf.Tensor4D => tf.concat(parts, 3);
const through = (layers: readonly Use[] | Readonly<Record<string, Use>>, x: tf.Tensor4D): tf.Tensor4D =>
  Object.values(layers).reduce((y: tf.Tensor4D, each: Use) => each(y), x);

const doubled = (from: number, middle: number, to: number, options: Options = {}) => ({
  conv: unit(from, middle),
  conv_1: unit(middle, to, [3, 3]),
  conv_2: unit(to, to, [3, 3], options),
});

type Branch = Layer | Readonly<Record<string, Layer>>;

/** Branches side by side, each a layer or some in turn, and the maxima of 3×3 pixels where the pixels are halved. */
const branches = (parts: Readonly<Record<string, Branch>>, halved = false): Layer =>
  module(parts, (used, x: tf.Tensor4D) => {
    const found = Object.values(used).map((branch) => (typeof branch === 'function' ? branch(x) : through(branch, x)));
    return join(halved ? [...found, maxPool(x)] : found);
  });

/** 35×35 pixels: 1×1, 5×5, twice 3×3, and a pool. */
const wide = (from: number, pooled: number): Layer =>
  branches({
    conv: unit(from, 64),
    tower: { conv: unit(from, 48), conv_1: unit(48, 64, [5, 5]) },
    tower_1: doubled(from, 64, 96),
    tower_2: { conv: pooledByMean(from, pooled) },
  });

/** 17×17 pixels: 1×1, 7×7 as 1×7 and 7×1, twice that, and a pool. */
const long = (middle: number): Layer =>
  branches({
    conv: unit(768, 192),
    tower: {
      conv: unit(768, middle),
      conv_1: unit(middle, middle, [1, 7]),
      conv_2: unit(middle, 192, [7, 1]),
    },
    tower_1: {
      conv: unit(768, middle),
      conv_1: unit(middle, middle, [7, 1]),
      conv_2: unit(middle, middle, [1, 7]),
      conv_3: unit(middle, middle, [7, 1]),
      conv_4: unit(middle, 192, [1, 7]),
    },
    tower_2: { conv: pooledByMean(768, 192) },
  });

/** 8×8 pixels: 1×1, 1×3 beside 3×1, the same after a 3×3, and a pool. */
const last = (from: number, pooled: Layer): Layer =>
  module(
    {
      conv: unit(from, 320),
      tower_conv: unit(from, 384),
      tower_mixed_conv: unit(384, 384, [1, 3]),
      tower_mixed_conv_1: unit(384, 384, [3, 1]),
      tower_1_conv: unit(from, 448),
      tower_1_conv_1: unit(448, 384, [3, 3]),
      tower_1_mixed_conv: unit(384, 384, [1, 3]),
      tower_1_mixed_conv_1: unit(384, 384, [3, 1]),
      tower_2_conv: pooled,
    },
    (at, x: tf.Tensor4D) => {
      const [short, deep] = [at.tower_conv(x), at.tower_1_conv_1(at.tower_1_conv(x))];
      const sides = [at.tower_mixed_conv(short), at.tower_mixed_conv_1(short)];
      const deepSides = [at.tower_1_mixed_conv(deep), at.tower_1_mixed_conv_1(deep)];
      return join([at.conv(x), ...sides, ...deepSides, at.tower_2_conv(x)]);
    },
  );
