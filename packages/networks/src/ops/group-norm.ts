import * as tf from '@tensorflow/tfjs-core';
import { siluGradient } from './silu.js';

/** What a group norm is given beside x. */
export interface GroupNormInputs {
  /** Gain γ and offset β, [c]. */
  gamma: tf.Tensor;
  beta: tf.Tensor;
  /** FiLM conditioning, scale and shift of each sample: [n, 1, 1, c]. */
  film?: { scale: tf.Tensor; shift: tf.Tensor } | undefined;
  /** The bias of the convolution that made x, [c]: the norm acts on x + bias, without a pass over the pixels for it. */
  bias?: tf.Tensor | undefined;
  /** Apply SiLU to the result. */
  silu?: boolean | undefined;
}

const epsilon = 1e-5;

/** The matrix that replaces each channel by the mean of its group, as the kernel of a 1×1 convolution: [1, 1, c, c]. */
export function groupAverage(channels: number, groups: number): tf.Tensor4D {
  return tf.tidy(() => {
    const group = tf.floor(tf.div(tf.range(0, channels, 1, 'float32'), channels / groups));
    const same = tf.equal(tf.reshape(group, [channels, 1]), group);
    return tf.reshape(tf.mul(tf.cast(same, 'float32'), groups / channels), [1, 1, channels, channels]);
  });
}

/**
 * Group norm (Wu & He 2018, arXiv 1803.08494) of `x` [n, h, w, c] in the groups of `average`, with FiLM conditioning
 * (Dhariwal & Nichol 2021, arXiv 2105.05233, "adaptive group normalization") and SiLU on request:
 *
 * y = (γ x̂ + β)(1 + scale) + shift, x̂ = (x + bias − μ)/√(σ² + 1e−5), then y · sigmoid(y).
 *
 * As one operation it is a multiply-add over the pixels, y = a x + b, with a and b of each sample and channel; all else
 * is arithmetic on [n, 1, 1, c]. The variance is taken in two passes: about each channel's own mean, to which the
 * spread of the channel means within their group is added, so nothing cancels. Differentiable once in all inputs.
 */
export function groupNorm(x: tf.Tensor4D, average: tf.Tensor4D, inputs: GroupNormInputs): tf.Tensor4D {
  const { gamma, beta, film, bias, silu = false } = inputs;
  const extra = [...(bias ? [bias] : []), ...(film ? [film.scale, film.shift] : [])];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const { value, saved } = forward(args as tf.Tensor[], average, Boolean(bias), silu);
    save(saved);
    return { value, gradFunc: (dy, kept) => backward(dy, kept, Boolean(bias), Boolean(film), silu) };
  });
  return op(x, gamma, beta, ...extra) as tf.Tensor4D;
}

// Rank 4 throughout: on [n, 1, 1, c] the group means are a small convolution and nothing has to be reshaped.
const mix = (t: tf.Tensor, average: tf.Tensor): tf.Tensor =>
  tf.conv2d(t as tf.Tensor4D, average as tf.Tensor4D, 1, 'valid');

const overPixels = (t: tf.Tensor): tf.Tensor => tf.sum(t, [1, 2], true);

const countPixels = (x: tf.Tensor): number => (x.shape[1] as number) * (x.shape[2] as number);

function forward(args: tf.Tensor[], average: tf.Tensor, hasBias: boolean, silu: boolean) {
  const [x, gamma, beta, ...extra] = args as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
  const bias = hasBias ? (extra[0] as tf.Tensor) : undefined;
  const [scale, move] = extra.slice(hasBias ? 1 : 0);
  const share = 1 / countPixels(x);
  const mean = tf.mul(overPixels(x), share);
  const own = bias ? tf.add(mean, bias) : mean;
  const mu = mix(own, average);
  const within = tf.mul(overPixels(tf.squaredDifference(x, mean)), share);
  const variance = mix(tf.add(within, tf.squaredDifference(own, mu)), average);
  const rstd = tf.rsqrt(tf.add(variance, epsilon));
  const offset = bias ? tf.sub(bias, mu) : tf.neg(mu); // x + bias − μ = x + offset
  const factor = scale && tf.add(scale, 1);
  const gain = factor ? tf.mul(gamma, factor) : gamma;
  const shift = factor ? tf.add(tf.mul(beta, factor), move as tf.Tensor) : beta;
  const slope = tf.mul(rstd, gain);
  const line = tf.add(tf.mul(x, slope), tf.add(tf.mul(offset, slope), shift));
  const saved = [x, gamma, beta, average, mean, rstd, offset, gain, slope, ...(factor ? [factor] : [])];
  if (!silu) return { value: line, saved };
  const gate = tf.sigmoid(line);
  const value = tf.mul(line, gate);
  return { value, saved: [...saved, line, gate, value] };
}

type Nine = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

function backward(dy: tf.Tensor, saved: tf.Tensor[], hasBias: boolean, hasFilm: boolean, silu: boolean): tf.Tensor[] {
  return tf.tidy(() => {
    const [x, gamma, beta, average, mean, rstd, offset, gain, slope, ...rest] = saved as [...Nine, ...tf.Tensor[]];
    const factor = hasFilm ? (rest[0] as tf.Tensor) : undefined;
    const [line, gate, value] = rest.slice(hasFilm ? 1 : 0) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const dline = silu ? siluGradient(dy, line, gate, value) : dy;
    // Σ dy and Σ dy · x̂ over the pixels, of each sample and channel.
    const sum0 = overPixels(dline);
    const sum1 = tf.mul(rstd, tf.add(overPixels(tf.mul(dline, x)), tf.mul(offset, sum0)));
    // dx = rstd (gain dy − ⟨gain dy⟩ − x̂ ⟨gain dy x̂⟩), ⟨·⟩ the mean over a group: slope · dy − (p x + q).
    const share = tf.mul(rstd, 1 / countPixels(x));
    const p = tf.mul(tf.mul(share, rstd), mix(tf.mul(gain, sum1), average));
    const q = tf.add(tf.mul(p, offset), tf.mul(share, mix(tf.mul(gain, sum0), average)));
    const dx = tf.sub(tf.mul(dline, slope), tf.add(tf.mul(x, p), q));
    const channels = (t: tf.Tensor): tf.Tensor => tf.sum(t, [0, 1, 2]);
    const gradients = [dx, ...[sum1, sum0].map((sum) => channels(factor ? tf.mul(factor, sum) : sum))];
    // Σ dx over the pixels, from sums that are known.
    if (hasBias)
      gradients.push(channels(tf.sub(tf.mul(slope, sum0), tf.mul(tf.add(tf.mul(p, mean), q), countPixels(x)))));
    if (factor) gradients.push(tf.add(tf.mul(gamma, sum1), tf.mul(beta, sum0)), sum0);
    return gradients;
  });
}
