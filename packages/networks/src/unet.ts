import { checkShape, type Network, type Parameters } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { lambdaFeatures } from './embedding.js';
import { attention } from './ops/attention.js';
import { addBias, addResidual } from './ops/bias.js';
import { conv2d } from './ops/conv2d.js';
import { groupNorm } from './ops/group-norm.js';
import { linear } from './ops/linear.js';
import { downsample, upsample } from './ops/resample.js';
import { silu } from './ops/silu.js';
import { initialise, reader, shapesOf } from './parameters.js';
import { type UnetConfig, unetLevels } from './unet-config.js';
import { unetParameters } from './unet-parameters.js';
import { type Step, unetPlan } from './unet-plan.js';

type Read = <T extends tf.Tensor>(name: string) => T;

/**
 * The U-Net of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233, section 3) conditioned on λ and a class, as a value.
 *
 * Residual blocks of group norm, SiLU and 3×3 convolution, whose second norm is scaled and shifted by the embedding of
 * λ and class; self-attention at the given resolutions; mean pooling down, nearest neighbours and a convolution up;
 * the features of the way down are joined to those of the way up. The last convolution of every branch and of the
 * network starts at zero, so fresh parameters give 0 everywhere.
 *
 * `apply` takes z [n, height, width, channels], λ [n] in nats and labels int32 [n], where the label `classes` is ∅.
 * Labels are not read back, so one outside [0, classes] is no error: it counts as no class embedding at all.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function unet(config: UnetConfig): Network<tf.Tensor1D> {
  const levels = unetLevels(config);
  const { height, width, channels, classes, base, blocks, groups } = config;
  const steps = unetPlan(levels, blocks, channels);
  const specs = unetParameters(config, steps);

  return {
    shapes: shapesOf(specs),
    init: (k) => initialise(specs, k),
    apply(parameters: Parameters, z, lambda, labels) {
      checkShape('z', z, [null, height, width, channels]);
      const n = z.shape[0] as number;
      checkShape('lambda', lambda, [n]);
      if (classes > 0) {
        checkShape('the condition', labels, [n]);
        if (labels.dtype !== 'int32')
          throw new TypeError(`the condition has type ${labels.dtype}; labels are int32 numbers in [0, ${classes}].`);
      }
      const read = reader(specs, parameters);
      return tf.tidy(() => {
        const films = filmTable(
          steps,
          read,
          embed(read, lambda as tf.Tensor1D, classes > 0 ? labels : undefined, base),
        );
        const context = { read, films, groups };
        const walked = walk(steps, context, z as tf.Tensor4D);
        const last = { ...norm(read, 'out.norm'), silu: true };
        const x = groupNorm(walked, groups, last);
        return convolve(read, 'out', x);
      });
    },
  };
}

/** SiLU of the embedding of λ and class, [n, embedding]. */
function embed(read: Read, lambda: tf.Tensor1D, labels: tf.Tensor1D | undefined, base: number): tf.Tensor2D {
  const hidden = silu(affine(read, 'lambda.linear1', lambdaFeatures(lambda, base)));
  const embedding = affine(read, 'lambda.linear2', hidden);
  if (!labels) return silu(embedding);
  const table = read<tf.Tensor2D>('class.table');
  // A product with one-hot rows instead of a gather: its gradient is a product too, and every backend has that. The cast
  // is apart because WebAssembly's `oneHot` writes integers into a float32 result.
  const chosen = tf.cast(tf.oneHot(labels, table.shape[0]), 'float32') as tf.Tensor2D;
  const rows = linear(chosen, table);
  return silu(tf.add(embedding, rows));
}

/** What every part of a walk reads: the parameters, the number of groups of its norms, scale and shift by block. */
interface Context {
  read: Read;
  groups: number;
  films: ReadonlyMap<string, { scale: tf.Tensor; shift: tf.Tensor }>;
}

/** Scale and shift of every residual block, [n, 1, 1, c] each, from one product for all of them. */
function filmTable(steps: readonly Step[], read: Read, embedding: tf.Tensor2D): Context['films'] {
  const names = steps.flatMap((step) => (step.kind === 'residual' ? [step.name] : []));
  const kernels = names.map((name) => read<tf.Tensor2D>(`${name}.film.kernel`));
  const biases = names.map((name) => read<tf.Tensor1D>(`${name}.film.bias`));
  const all = addBias(linear(embedding, tf.concat(kernels, 1)), tf.concat(biases));
  const sizes = kernels.flatMap((kernel) => [kernel.shape[1] / 2, kernel.shape[1] / 2]);
  const parts = tf.split(tf.reshape(all, [embedding.shape[0], 1, 1, all.shape[1]]), sizes, 3);
  return new Map(
    names.map((name, i) => [name, { scale: parts[2 * i] as tf.Tensor, shift: parts[2 * i + 1] as tf.Tensor }]),
  );
}

function walk(steps: readonly Step[], context: Context, z: tf.Tensor4D): tf.Tensor4D {
  const kept: tf.Tensor4D[] = [];
  let x = z;
  for (const step of steps) {
    switch (step.kind) {
      case 'convolution':
        x = convolve(context.read, step.name, x);
        break;
      case 'residual':
        x = residual(context, step.name, x);
        break;
      case 'attention':
        x = attend(context, step.name, x, step.heads);
        break;
      case 'downsample':
        x = downsample(x);
        break;
      case 'upsample':
        x = convolve(context.read, step.name, upsample(x));
        break;
      case 'keep':
        kept.push(x);
        break;
      case 'join':
        x = tf.concat([x, kept.pop() as tf.Tensor4D], 3);
    }
  }
  return x;
}

function residual({ read, groups, films }: Context, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const kernel = (part: string): tf.Tensor4D => read(`${name}.${part}.kernel`);
  const normed = groupNorm(x, groups, { ...norm(read, `${name}.norm1`), silu: true });
  const first = conv2d(normed, kernel('conv1'));
  const conditioning = { bias: read(`${name}.conv1.bias`), film: films.get(name) };
  const second = groupNorm(first, groups, {
    ...norm(read, `${name}.norm2`),
    ...conditioning,
    silu: true,
  });
  const skip = x.shape[3] === first.shape[3] ? x : linear(x, read<tf.Tensor2D>(`${name}.skip.kernel`));
  return addResidual(conv2d(second, kernel('conv2')), skip, read(`${name}.conv2.bias`));
}

function attend({ read, groups }: Context, name: string, x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  const tokens: tf.Tensor3D = tf.reshape(groupNorm(x, groups, norm(read, `${name}.norm`)), [n, h * w, c]);
  const mixed = attention(affine(read, `${name}.qkv`, tokens), heads);
  const out = tf.reshape(linear(mixed, read<tf.Tensor2D>(`${name}.out.kernel`)), [n, h, w, c]);
  return addResidual(out as tf.Tensor4D, x, read(`${name}.out.bias`));
}

const norm = (read: Read, name: string): { gamma: tf.Tensor; beta: tf.Tensor } => ({
  gamma: read(`${name}.gamma`),
  beta: read(`${name}.beta`),
});

const affine = <T extends tf.Tensor>(read: Read, name: string, x: T): T =>
  addBias(linear(x, read<tf.Tensor2D>(`${name}.kernel`)), read(`${name}.bias`));

const convolve = (read: Read, name: string, x: tf.Tensor4D): tf.Tensor4D =>
  addBias(conv2d(x, read<tf.Tensor4D>(`${name}.kernel`)), read(`${name}.bias`));
