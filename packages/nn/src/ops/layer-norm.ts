import * as tf from '@tensorflow/tfjs-core';

/** What a layer norm is given beside x. */
export interface LayerNormInputs {
  /** Gain γ and offset β, of shapes that broadcast to x's: [c], or [n, 1, c] for those of each sample. Default 1 and 0. */
  gamma?: tf.Tensor | undefined;
  beta?: tf.Tensor | undefined;
  /** Default 1e−5. */
  epsilon?: number | undefined;
}

/**
 * Layer norm (Ba et al. 2016, arXiv 1607.06450) over the last axis of x [..., c]: y = γ x̂ + β, x̂ = (x − μ)/√(σ² + ε). The
 * variance is that of x − μ, so nothing cancels. Differentiable once in all of them.
 */
export function layerNorm<T extends tf.Tensor>(x: T, { gamma, beta, epsilon = 1e-5 }: LayerNormInputs = {}): T {
  const there = [gamma, beta].filter((input) => input !== undefined);
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const [x, ...rest] = args as [tf.Tensor, ...tf.Tensor[]];
    const gain = gamma && rest[0];
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
    const normed = tf.mul(centred, rstd);
    const scaled = gain ? tf.mul(normed, gain) : normed;
    save([normed, rstd, ...(gain ? [gain] : [])]);
    return {
      value: beta ? tf.add(scaled, rest[gamma ? 1 : 0] as tf.Tensor) : scaled.clone(),
      gradFunc(dy, saved) {
        const [normed, rstd, gain] = saved as [tf.Tensor, tf.Tensor, tf.Tensor?];
        const product = tf.mul(dy, normed);
        return [
          inputGradient(gain ? tf.mul(dy, gain) : dy, normed, rstd),
          ...(gain ? [sumTo(product, gain.shape)] : []),
          ...(beta ? [sumTo(dy, beta.shape)] : []),
        ];
      },
    };
  });
  return op(x, ...there) as T;
}

/** dx = rstd (g − ⟨g⟩ − x̂ ⟨g x̂⟩) for g = γ dy, ⟨·⟩ the mean over the last axis. */
const inputGradient = (g: tf.Tensor, normed: tf.Tensor, rstd: tf.Tensor): tf.Tensor =>
  tf.tidy(() => {
    const along = tf.mean(tf.mul(g, normed), -1, true);
    return tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), tf.mul(normed, along)), rstd);
  });

/** The sum over the axes along which a tensor of this shape was broadcast. */
function sumTo(t: tf.Tensor, shape: number[]): tf.Tensor {
  const more = t.rank - shape.length;
  const axes = t.shape.flatMap((size, axis) => (axis < more || shape[axis - more] !== size ? [axis] : []));
  return tf.tidy(() => tf.reshape(axes.length > 0 ? tf.sum(t, axes) : tf.clone(t), shape));
}
