/**
 * Kernels that a backend may register (`registerKernel` of tfjs-core) for what others compose from many operations. Who
 * needs one looks for it with `getKernel` and composes it where there is none.
 */

/**
 * Group norm with what stands around it: y = γ' x̂ + β' with x̂ = (x + bias − μ)/√(σ² + 1e−5), μ and σ² of each sample and
 * group of neighbouring channels, γ' = γ (1 + scale), β' = β (1 + scale) + shift, and then y · sigmoid(y) if `silu`.
 *
 * Inputs x [n, h, w, c]; gamma, beta [c]; bias [c], scale and shift [n, 1, 1, c], each of which may be empty, [0], which
 * leaves it out. Outputs: y, and μ and 1/√(σ² + 1e−5), [n, groups]. Attributes {@link GroupNormAttrs}.
 */
export const GROUP_NORM = 'LogsnrGroupNorm';

/**
 * The gradient of {@link GROUP_NORM}. Inputs dy, that kernel's six inputs, and its last two outputs as `mean` and `rstd`.
 * Outputs: the gradients by the six inputs, of their shapes.
 */
export const GROUP_NORM_GRADIENT = 'LogsnrGroupNormGrad';

export interface GroupNormAttrs {
  /** Divides c. */
  groups: number;
  silu: boolean;
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
 * Uniform numbers of a key that is an input, so that a graph draws anew for each key. Input key, int32 [2]; attributes
 * {@link PhiloxUniformAttrs}. Output: float32 [samples, 4 · blocks] in [0, 1), the 23 low bits of each word of Philox4x32-10.
 */
export const PHILOX_UNIFORM = 'PhiloxUniform';

export interface PhiloxUniformAttrs {
  /** The third word of the counter: which of the key's streams. Not 0, which noise has, and not `fold`'s of `@logsnr/core`. */
  stream: number;
  samples: number;
  /** Philox blocks a sample, four values each; sample i begins at block i · blocks. */
  blocks: number;
}
