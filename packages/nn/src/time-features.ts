import * as tf from '@tensorflow/tfjs-core';

/** How times become features. */
export interface TimeFeatures {
  /** Which half stands first. Default cosines, as in guided-diffusion and DiT; DDPM's has the sines first. */
  readonly first?: 'cos' | 'sin' | undefined;
  /** 0, the default, as in guided-diffusion and DiT, or 1, as in DDPM. With 1 the slowest frequency is 1/10000 itself. */
  readonly shift?: 0 | 1 | undefined;
}

/**
 * Sines and cosines of times: [n] → [n, size], cos(ω_k t) for k < size/2, then sin(ω_k t), with
 * ω_k = 10000^(−k/(size/2 − shift)) radians a step.
 *
 * The form is that of Vaswani et al. 2017 (arXiv 1706.03762, section 3.5), in guided-diffusion's order
 * (`timestep_embedding`), DDPM's on request (Ho et al. 2020, arXiv 2006.11239, appendix B). The frequencies are rounded to
 * float32 step by step as there: at t = 1000 another rounding would show in the fourth digit.
 */
export function timeFeatures(
  t: tf.Tensor1D,
  size: number,
  { first = 'cos', shift = 0 }: TimeFeatures = {},
): tf.Tensor2D {
  const round = Math.fround;
  const fall = round(-Math.log(10000));
  const omega = Array.from({ length: size / 2 }, (_, k) => Math.exp(round(round(fall * k) / (size / 2 - shift))));
  return waves(t, omega, first);
}

/** Sines and cosines of all products of values [n] and frequencies [k]: [n, 2k]. */
export const waves = (values: tf.Tensor1D, omega: number[], first: 'cos' | 'sin'): tf.Tensor2D =>
  tf.tidy(() => {
    const angle = tf.mul(tf.reshape(values, [-1, 1]), tf.tensor2d(omega, [1, omega.length]));
    const [sines, cosines] = [tf.sin(angle), tf.cos(angle)];
    return tf.concat(first === 'sin' ? [sines, cosines] : [cosines, sines], 1) as tf.Tensor2D;
  });
