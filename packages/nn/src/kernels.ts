/**
 * Kernels that a backend may register (`registerKernel` of tfjs-core) and other backends compose from many operations. A
 * caller looks for one with `getKernel`, and composes it where there is none.
 */

/**
 * Group norm with what stands around it: y = γ' x̂ + β', and then y · sigmoid(y) if `silu`. Here x̂ = (x + bias − μ)/√(σ² + ε),
 * γ' = γ (1 + scale) and β' = β (1 + scale) + shift. A group of neighbouring channels of one sample has one μ and one σ².
 *
 * Inputs: x [n, h, w, c], with h, w and c of at least 1; gamma and beta [c]; bias [c] or [n, 1, 1, c]; scale and shift
 * [n, 1, 1, c]. The last three may be [0], which leaves them out. Outputs: y, and μ and 1/√(σ² + ε), [n, groups]. Attributes
 * {@link GroupNormAttrs}. Any other shape is an error.
 */
export const GROUP_NORM = 'LogsnrGroupNorm';

/**
 * The gradient of {@link GROUP_NORM}. Inputs: dy, the six inputs of that kernel, and its last two outputs as `mean` and
 * `rstd`. Outputs: the gradients by the six inputs, in their shapes.
 */
export const GROUP_NORM_GRADIENT = 'LogsnrGroupNormGrad';

export interface GroupNormAttrs {
  /** Divides c. */
  groups: number;
  silu: boolean;
  /** ε, above 0. */
  epsilon: number;
}

/**
 * A 3×3 convolution of stride 1 with zeros around: y[n,h,w,o] = Σ_{i,j,c} x[n, h + i − 1, w + j − 1, c] kernel[i,j,c,o] +
 * bias[o] + residual[n,h,w,o].
 *
 * Inputs x [n, h, w, c], kernel [3, 3, c, o], bias [o] and residual [n, h, w, o], each of the last two empty, [0], where it
 * is left out. c and o are multiples of 16. Output y.
 */
export const CONV_3X3 = 'LogsnrConv3x3';

/** The gradient of {@link CONV_3X3} by x. Inputs dy [n, h, w, o] and kernel. Output dx [n, h, w, c]. */
export const CONV_3X3_INPUT_GRADIENT = 'LogsnrConv3x3InputGrad';

/** The gradient of {@link CONV_3X3} by the kernel. Inputs x and dy. Output dkernel [3, 3, c, o]. */
export const CONV_3X3_FILTER_GRADIENT = 'LogsnrConv3x3FilterGrad';

/**
 * A linear map of rows: y[r,o] = Σ_c x[r,c] weight[c,o] + bias[o] + residual[r,o].
 *
 * Inputs x [rows, c], weight [c, o], bias [o] and residual [rows, o], each of the last two empty, [0], where it is left
 * out. c and o are multiples of 16. Output y.
 */
export const LINEAR = 'LogsnrLinear';

/** The gradient of {@link LINEAR} by x. Inputs dy [rows, o] and weight. Output dx [rows, c]. */
export const LINEAR_INPUT_GRADIENT = 'LogsnrLinearInputGrad';

/** The gradient of {@link LINEAR} by the weight. Inputs x and dy. Output dweight [c, o]. */
export const LINEAR_WEIGHT_GRADIENT = 'LogsnrLinearWeightGrad';

/**
 * Multi-head self-attention: softmax(Q Kᵀ/√d) V for each head. Input qkv [n, t, 3c], t of at least 1, whose channels are q, k
 * and v in this order and each (head, d), d = c/heads of at least 1. Output y [n, t, c]. Attributes {@link AttentionAttrs}.
 */
export const ATTENTION = 'LogsnrAttention';

/** The gradient of {@link ATTENTION}. Inputs dy [n, t, c] and qkv. Output dqkv. */
export const ATTENTION_GRADIENT = 'LogsnrAttentionGrad';

export interface AttentionAttrs {
  /** Divides c. */
  heads: number;
}

/**
 * One step of Adam: m' = β₁ m + (1 − β₁) g, v' = β₂ v + (1 − β₂) g², p' = keep · p − rate · m'/(√v' + epsilon).
 *
 * Inputs p, g, m and v of one shape, and the scalars rate, epsilon and keep. Outputs p', m', v'. Attributes
 * {@link AdamAttrs}.
 */
export const ADAM = 'LogsnrAdam';

export interface AdamAttrs {
  beta1: number;
  beta2: number;
}

/**
 * Uniform numbers of a key. The key is an input, so a graph draws anew for each key. Input: key, int32 [2]. Attributes
 * {@link PhiloxUniformAttrs}. Output: float32 [samples, 4 · blocks] in [0, 1), the 23 low bits of each word of Philox4x32-10.
 */
export const PHILOX_UNIFORM = 'PhiloxUniform';

export interface PhiloxUniformAttrs {
  /** Which of the key's streams: the third word of the counter. Noise has 0, and `fold` of `@logsnr/core` one of its own. */
  stream: number;
  samples: number;
  /** Philox blocks a sample, of four values each. Sample i begins at block i · blocks. */
  blocks: number;
}
