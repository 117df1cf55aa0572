import { checkInteger } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { plus } from './bias.js';
import { conv3x3, suitsKernel } from './conv3x3.js';
import { hasKernels } from './kernel.js';
import { ofTwo } from './of-two.js';

/** How a convolution's gradients are made: by the backend's kernels, or from slices, products and convolutions. */
export type ConvGradients = 'kernels' | 'composed';

/** `kernels` where the current backend has them, else `composed` (WebAssembly has no filter gradient). */
export const convGradients = (): ConvGradients =>
  hasKernels(tf.Conv2DBackpropFilter, tf.Conv2DBackpropInput) ? 'kernels' : 'composed';

/** Rows and columns of zeros around an image: [[top, bottom], [left, right]]. */
export type Padding = 'same' | number | readonly [readonly [number, number], readonly [number, number]];

export interface ConvOptions {
  /** Default 1. */
  stride?: number | undefined;
  /** `same`, the default, gives ⌈size/stride⌉ pixels. A number puts as many zeros on all sides. */
  padding?: Padding | undefined;
  /** Added to the result: [out]. */
  bias?: tf.Tensor | undefined;
  /** Added to the result, of its shape. */
  residual?: tf.Tensor4D | undefined;
  gradients?: ConvGradients | undefined;
}

/**
 * Convolution with zero padding: y[n,h,w,o] = Σ_{i,j,c} x[n, s h + i − top, s w + j − left, c] k[i,j,c,o], plus `bias` and
 * `residual`. `x` is [n, h, w, in], `kernel` [K, L, in, out]. Differentiable once in all of them, on every backend.
 */
export function conv2d(x: tf.Tensor4D, kernel: tf.Tensor4D, options: ConvOptions = {}): tf.Tensor4D {
  const { stride = 1, padding = 'same', bias, residual } = options;
  const around = pairsOf(padding, x, kernel, stride);
  const one = stride === 1 && around.flat().every((size) => size === 1);
  if (one && !options.gradients && suitsKernel(x, kernel)) return conv3x3(x, kernel, bias, residual);
  if (stride === 1 && !options.gradients && suitsInside(x, kernel, around)) {
    const [n, h, w] = x.shape;
    const inside = tf.slice(conv3x3(x, kernel, bias), [0, 1, 1, 0], [n, h - 2, w - 2, -1]);
    return plus(inside, { residual });
  }
  return plus(byLibrary(x, kernel, options, around), { bias, residual });
}

/** Without zeros around, the kernel's result at the rim is left out: a small part where images are large. */
const suitsInside = (x: tf.Tensor4D, kernel: tf.Tensor4D, around: Pairs): boolean =>
  around.flat().every((size) => size === 0) && Math.min(...x.shape.slice(1, 3)) >= 32 && suitsKernel(x, kernel);

function byLibrary(x: tf.Tensor4D, kernel: tf.Tensor4D, options: ConvOptions, around: Pairs): tf.Tensor4D {
  const { stride = 1, padding = 'same', gradients = convGradients() } = options;
  // Explicit zeros, since the native backend's convolution knows no numeric padding.
  const forward = (x: tf.Tensor4D, kernel: tf.Tensor4D): tf.Tensor4D =>
    padding === 'same' ? tf.conv2d(x, kernel, stride, 'same') : tf.conv2d(padded(x, around), kernel, stride, 'valid');
  if (gradients === 'kernels') return forward(x, kernel);
  const at = { stride, around, height: x.shape[1], width: x.shape[2] };
  return ofTwo(forward, (dy, a, k) => [inputGradient(dy, k, at), filterGradient(a, dy, k, at)])(x, kernel);
}

const padded = (x: tf.Tensor4D, around: Pairs): tf.Tensor4D =>
  around.flat().some((size) => size > 0) ? tf.pad4d(x, [[0, 0], ...around, [0, 0]]) : x;

interface Place {
  stride: number;
  around: Pairs;
  height: number;
  width: number;
}

type Pairs = [[number, number], [number, number]];

function pairsOf(padding: Padding, x: tf.Tensor4D, kernel: tf.Tensor4D, stride: number): Pairs {
  for (const size of [padding].flat(2)) if (size !== 'same') checkInteger('padding', size as number);
  if (typeof padding === 'number')
    return [
      [padding, padding],
      [padding, padding],
    ];
  if (padding !== 'same') return padding.map(([before, after]) => [before, after]) as Pairs;
  return [1, 2].map((axis) => {
    const size = x.shape[axis] as number;
    const needed = (Math.ceil(size / stride) - 1) * stride + (kernel.shape[axis - 1] as number) - size;
    const total = Math.max(needed, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  }) as Pairs;
}

/** The gradient by x is a convolution too, of dy spread by the stride, with the kernel turned by 180°. */
function inputGradient(dy: tf.Tensor4D, kernel: tf.Tensor4D, { stride, around, height, width }: Place): tf.Tensor4D {
  return tf.tidy(() => {
    const turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]);
    const wide = spread(dy, stride);
    const half = kernel.shape.slice(0, 2).map((size) => (size - 1) / 2);
    // The common case needs no zeros of its own.
    if (stride === 1 && around.every(([before, after], i) => before === half[i] && after === half[i]))
      return tf.conv2d(dy, turned, 1, 'same');
    const sizes = [height, width].map((size, i) => {
      const reach = (kernel.shape[i] as number) - 1;
      const before = reach - (around[i] as [number, number])[0];
      return { before, all: size + reach, after: size + reach - before - (wide.shape[i + 1] as number) };
    });
    // Zeros where no output looked, and off with what lies in the padding.
    const zeros = sizes.map(({ before, after }) => [Math.max(before, 0), Math.max(after, 0)]) as Pairs;
    const from = sizes.map(({ before }) => Math.max(-before, 0));
    const seen = tf.slice(padded(wide, zeros), [0, ...from, 0], [dy.shape[0], ...sizes.map(({ all }) => all), -1]);
    return tf.conv2d(seen as tf.Tensor4D, turned, 1, 'valid');
  });
}

/** s − 1 rows and columns of zeros after each: [n, h, w, c] → [n, s h, s w, c]. */
function spread(dy: tf.Tensor4D, stride: number): tf.Tensor4D {
  if (stride === 1) return dy;
  const [n, h, w, c] = dy.shape;
  const wide = tf.concat([dy, tf.zeros([n, h, w, (stride - 1) * c])], 3);
  const row = w * stride * c;
  const rows = [tf.reshape(wide, [n, h, row]), tf.zeros([n, h, (stride - 1) * row])];
  return tf.reshape(tf.concat(rows, 2), [n, h * stride, w * stride, c]);
}

/** dk[i,j] = Σ_{n,h,w} x[n, s h + i, s w + j, :] dy[n,h,w,:]ᵀ, one plain matrix product for each of the K L offsets. */
function filterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, kernel: tf.Tensor4D, { stride, around }: Place): tf.Tensor4D {
  return tf.tidy(() => {
    const [rows, columns, channels, out] = kernel.shape;
    const [n, h, w] = dy.shape;
    const product = tf.reshape(dy, [n * h * w, out]);
    // Transposed once and ahead of the slices, so that no product has to transpose its factor.
    const planes = tf.transpose(padded(x, around), [3, 0, 1, 2]);
    const [tall, long] = [(h - 1) * stride + 1, (w - 1) * stride + 1];
    const offsets = Array.from({ length: rows * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      const seen = tf.slice(planes, [0, 0, i, j], [channels, n, tall, long]);
      const part = stride === 1 ? seen : tf.stridedSlice(seen, [0, 0, 0, 0], seen.shape, [1, 1, stride, stride]);
      return tf.matMul(tf.reshape(part, [channels, n * h * w]), product);
    });
    return tf.reshape(tf.stack(offsets), [rows, columns, channels, out]);
  });
}
