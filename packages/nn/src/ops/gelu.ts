import * as tf from '@tensorflow/tfjs-core';

/** Which form: the hyperbolic tangent's, or the exact one. */
export type GeluForm = 'tanh' | 'exact';

/**
 * GELU, y = x Φ(x) with Φ the normal distribution (Hendrycks & Gimpel 2016, arXiv 1606.08415). `tanh` has
 * Φ(x) ≈ (1 + tanh(√(2/π)(x + 0.044715 x³)))/2, off by less than 5e−4. DiT and the `gelu-approximate` of diffusers are `tanh`;
 * PyTorch's `nn.GELU()`, timm's and diffusers' `gelu` are `exact`. Differentiable once.
 */
export const gelu = <T extends tf.Tensor>(x: T, form: GeluForm = 'tanh'): T =>
  tf.customGrad((...args) => {
    const [x, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const share = form === 'tanh' ? tanhShare(x) : exactShare(x);
    save([x, share]);
    return {
      value: tf.mul(x, share),
      gradFunc: (dy, saved) =>
        tf.tidy(() => {
          const [x, share] = saved as [tf.Tensor, tf.Tensor];
          const slope = form === 'tanh' ? tanhSlope(x, share) : density(x);
          return tf.mul(dy, tf.add(share, tf.mul(x, slope)));
        }),
    };
  })(x) as T;

// (1 + tanh u)/2 = sigmoid(2u), which takes fewer passes.
const rate = 2 * Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

const tanhShare = (x: tf.Tensor): tf.Tensor =>
  tf.tidy(() => tf.sigmoid(tf.mul(x, tf.add(tf.mul(tf.square(x), rate * cubic), rate))));

const tanhSlope = (x: tf.Tensor, share: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(share, tf.sub(1, share)), tf.add(tf.mul(tf.square(x), 3 * rate * cubic), rate));

const exactShare = (x: tf.Tensor): tf.Tensor => tf.tidy(() => tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5));

const density = (x: tf.Tensor): tf.Tensor => tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
