import { checkAbove } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { GROUP_NORM, GROUP_NORM_GRADIENT, type GroupNormAttrs } from '../kernels.js';
import { hasKernels } from './kernel.js';
import { siluGradient } from './silu.js';

/** FiLM conditioning, scale and shift of each sample: [n, 1, 1, c]. */
export interface Film {
  scale: tf.Tensor;
  shift: tf.Tensor;
}

/** What a group norm is given beside x. */
export interface GroupNormInputs {
  /** Gain γ and offset β, [c]. */
  gamma: tf.Tensor;
  beta: tf.Tensor;
  film?: Film | undefined;
  /**
   * The bias of the convolution that made x, [c], or one for each sample, [n, 1, 1, c]. The norm acts on x + bias, and the sum
   * costs no pass over the pixels.
   */
  bias?: tf.Tensor | undefined;
  /** Apply SiLU to the result. */
  silu?: boolean | undefined;
  /** ε, above 0. Default 1e−5. */
  epsilon?: number | undefined;
}

/** How a group norm is made: by a kernel of the backend's, or from many of its operations. */
export type GroupNormMethod = 'kernel' | 'composed';

/** `kernel` where the current backend has one. */
export const groupNormMethod = (): GroupNormMethod =>
  hasKernels(GROUP_NORM, GROUP_NORM_GRADIENT) ? 'kernel' : 'composed';

/**
 * Group norm (Wu & He 2018, arXiv 1803.08494) of `x` [n, h, w, c] in groups of c/groups neighbouring channels:
 *
 * y = (γ x̂ + β)(1 + scale) + shift, x̂ = (x + bias − μ)/√(σ² + ε), then y · sigmoid(y).
 *
 * FiLM, that is scale and shift (Dhariwal & Nichol 2021, arXiv 2105.05233, "adaptive group normalization"), and the SiLU
 * come on request. Differentiable once in all inputs.
 *
 * Composed, it is a multiply-add over the pixels, y = a x + b, where each sample and channel has its a and b. All else is
 * arithmetic on [n, groups, c/groups]. The variance is a channel's own, about its own mean, plus the spread of the channel
 * means in their group, so nothing cancels.
 */
export function groupNorm(
  x: tf.Tensor4D,
  groups: number,
  inputs: GroupNormInputs,
  method: GroupNormMethod = groupNormMethod(),
): tf.Tensor4D {
  const { gamma, beta, film, bias, silu = false, epsilon = 1e-5 } = inputs;
  checkAbove('epsilon', epsilon);
  if (method === 'kernel') return byKernel(x, inputs, { groups, silu, epsilon });
  const extra = [...(bias ? [bias] : []), ...(film ? [film.scale, film.shift] : [])];
  const [n, h, w, c] = x.shape;
  const shape: Shape = { n, groups, each: c / groups, c, pixels: h * w };
  const is = { hasBias: Boolean(bias), biasEach: bias?.rank === 4, hasFilm: Boolean(film), silu, epsilon };
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const { value, saved } = forward(args as tf.Tensor[], shape, is);
    save(saved);
    return { value, gradFunc: (dy, kept) => backward(dy, kept, shape, is) };
  });
  return op(x, gamma, beta, ...extra) as tf.Tensor4D;
}

const inputNames = ['x', 'gamma', 'beta', 'bias', 'scale', 'shift'] as const;

function byKernel(x: tf.Tensor4D, { gamma, beta, bias, film }: GroupNormInputs, own: GroupNormAttrs) {
  const attrs = own as never;
  const given = [x, gamma, beta, bias, film?.scale, film?.shift];
  const there = given.filter((input): input is tf.Tensor => input !== undefined);
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const rest = args as tf.Tensor[];
    const nothing = tf.tensor1d([]);
    const inputs = Object.fromEntries(
      inputNames.map((name, i) => [name, given[i] ? (rest.shift() as tf.Tensor) : nothing]),
    );
    const [y, mean, rstd] = tf.engine().runKernel(GROUP_NORM, inputs, attrs) as unknown as tf.Tensor[];
    save([...Object.values(inputs), mean as tf.Tensor, rstd as tf.Tensor]);
    return {
      value: y as tf.Tensor,
      gradFunc: (dy, saved) => {
        const names = [...inputNames, 'mean', 'rstd'];
        const known = Object.fromEntries(names.map((name, i) => [name, saved[i] as tf.Tensor]));
        const gradients = tf.engine().runKernel(GROUP_NORM_GRADIENT, { dy, ...known }, attrs);
        return (gradients as unknown as tf.Tensor[]).filter((_, i) => given[i]);
      },
    };
  });
  return op(...there) as tf.Tensor4D;
}

interface Shape {
  n: number;
  groups: number;
  /** Channels of a group. */
  each: number;
  c: number;
  pixels: number;
}

// Numbers of each sample and channel stand as [n, groups, each]. The mean over a group is then a reduction of a small
// tensor, and reshaping copies nothing.
const perSample = (t: tf.Tensor, { n, groups, each }: Shape): tf.Tensor => tf.reshape(t, [n, groups, each]);
const perChannel = (t: tf.Tensor, { groups, each }: Shape): tf.Tensor => tf.reshape(t, [groups, each]);
const overGroup = (t: tf.Tensor): tf.Tensor => tf.mean(t, 2, true);

/** Shaped to meet the pixels: [n, groups, each], or [n, groups, 1] for one number a group, to [n, 1, 1, c]. */
const wide = (t: tf.Tensor, { n, each, c }: Shape): tf.Tensor =>
  tf.reshape(t.shape[2] === each ? t : tf.tile(t, [1, 1, each]), [n, 1, 1, c]);

/** What there is beside x, γ and β. */
interface Parts {
  hasBias: boolean;
  /** Whether each sample has a bias of its own. */
  biasEach: boolean;
  hasFilm: boolean;
  silu: boolean;
  epsilon: number;
}

function forward(args: tf.Tensor[], shape: Shape, { hasBias, biasEach, silu, epsilon }: Parts) {
  const [x, ...vectors] = args as [tf.Tensor, ...tf.Tensor[]];
  const [gamma, beta] = vectors.slice(0, 2).map((vector) => perChannel(vector, shape));
  const [maybeBias] = vectors.slice(2, hasBias ? 3 : 2).map((bias) => (biasEach ? perSample : perChannel)(bias, shape));
  const [scale, move] = vectors.slice(hasBias ? 3 : 2).map((film) => perSample(film, shape));
  const [gammaOf, betaOf] = [gamma as tf.Tensor, beta as tf.Tensor];
  const ofPixels = tf.mean(x, [1, 2], true);
  const mean = perSample(ofPixels, shape);
  const own = maybeBias ? tf.add(mean, maybeBias) : mean;
  const mu = overGroup(own);
  const within = perSample(tf.mean(tf.squaredDifference(x, ofPixels), [1, 2]), shape);
  const variance = overGroup(tf.add(within, tf.squaredDifference(own, mu)));
  const rstd = tf.rsqrt(tf.add(variance, epsilon));
  const offset = maybeBias ? tf.sub(maybeBias, mu) : tf.neg(mu); // x + bias − μ = x + offset
  const factor = scale && tf.add(scale, 1);
  const gain = factor ? tf.mul(gammaOf, factor) : gammaOf;
  const shift = factor ? tf.add(tf.mul(betaOf, factor), move as tf.Tensor) : betaOf;
  const slope = tf.mul(rstd, gain);
  const line = tf.add(tf.mul(x, wide(slope, shape)), wide(tf.add(tf.mul(offset, slope), shift), shape));
  const saved = [x, gammaOf, betaOf, mean, rstd, offset, gain, slope, ...(factor ? [factor] : [])];
  if (!silu) return { value: line, saved };
  const gate = tf.sigmoid(line);
  const value = tf.mul(line, gate);
  return { value, saved: [...saved, line, gate, value] };
}

type Eight = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

function backward(dy: tf.Tensor, saved: tf.Tensor[], shape: Shape, parts: Parts): tf.Tensor[] {
  const { hasBias, biasEach, hasFilm, silu } = parts;
  return tf.tidy(() => {
    const [x, gamma, beta, mean, rstd, offset, gain, slope, ...rest] = saved as [...Eight, ...tf.Tensor[]];
    const factor = hasFilm ? (rest[0] as tf.Tensor) : undefined;
    const [line, gate, value] = rest.slice(hasFilm ? 1 : 0) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const dline = silu ? siluGradient(dy, line, gate, value) : dy;
    const overPixels = (t: tf.Tensor): tf.Tensor => perSample(tf.sum(t, [1, 2]), shape);
    // Σ dy and Σ dy · x̂ over the pixels, of each sample and channel.
    const sum0 = overPixels(dline);
    const sum1 = tf.mul(rstd, tf.add(overPixels(tf.mul(dline, x)), tf.mul(offset, sum0)));
    // dx = rstd (gain dy − ⟨gain dy⟩ − x̂ ⟨gain dy x̂⟩), ⟨·⟩ the mean over a group: slope · dy − (p x + q).
    const share = tf.mul(rstd, 1 / shape.pixels);
    const p = tf.mul(tf.mul(share, rstd), overGroup(tf.mul(gain, sum1)));
    const q = tf.add(tf.mul(p, offset), tf.mul(share, overGroup(tf.mul(gain, sum0))));
    const dx = tf.sub(tf.mul(dline, wide(slope, shape)), tf.add(tf.mul(x, wide(p, shape)), wide(q, shape)));
    const channels = (t: tf.Tensor): tf.Tensor => tf.reshape(tf.sum(t, 0), [shape.c]);
    const gradients = [dx, ...[sum1, sum0].map((sum) => channels(factor ? tf.mul(factor, sum) : sum))];
    const film = (t: tf.Tensor): tf.Tensor => wide(t, shape);
    // Σ dx over the pixels, from sums that are known.
    if (hasBias) {
      const ofBias = tf.sub(tf.mul(slope, sum0), tf.mul(tf.add(tf.mul(p, mean), q), shape.pixels));
      gradients.push(biasEach ? film(ofBias) : channels(ofBias));
    }
    if (factor) gradients.push(film(tf.add(tf.mul(gamma, sum1), tf.mul(beta, sum0))), film(sum0));
    return gradients;
  });
}
