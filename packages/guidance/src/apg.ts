import { alphaSigma, checkFinite, perSample } from '@logsnr/core';
import { add, div, divNoNan, exp, minimum, mul, sub, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import type { Rule } from './guide.js';
import { inner, norm } from './norms.js';

export interface ApgOptions {
  /** η: how much of the part along x̂ is kept. 1 keeps it all; the paper's method is 0. */
  eta?: number | undefined;
  /** r: the largest ‖Δx̂‖, in units of the data; no limit unless given. */
  norm?: number | undefined;
}

/**
 * Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416), on the predictions of x:
 * with Δ = x̂(z, c) − x̂(z, ∅), shortened to ‖Δ‖ ≤ r, and split along and across x̂(z, c),
 * x̃ = x̂(z, c) + w (Δ⊥ + η Δ∥). The part along x̂ is what oversaturates.
 *
 * In ε, with d = ε_c − ε_∅ and Δ = −(σ/α) d: ε̃ = ε_c + w min(1, r α/(σ‖d‖)) (d − (1 − η) d∥), where d∥ lies along
 * z − σ ε_c, so nothing is divided by a small α. η = 1 without r is plain guidance bit for bit.
 *
 * The paper's third part, a momentum β over the steps of Δ, is left out (β = 0): an ε-model is a pure function of z, λ and
 * c and remembers no earlier step.
 * @throws RangeError when η is not finite or r is not above 0.
 */
export function apg({ eta = 0, norm: limit = Number.POSITIVE_INFINITY }: ApgOptions = {}): Rule {
  checkFinite('eta', eta);
  if (!(limit > 0)) throw new RangeError(`norm is ${limit}; it must be above 0.`);
  return ({ conditional, unconditional, w, z, lambda }) => {
    let d = sub(conditional, unconditional);
    if (limit < Number.POSITIVE_INFINITY) d = mul(d, shortening(d, lambda, limit));
    if (eta !== 1) {
      const x = sub(z, mul(perSample(alphaSigma(lambda).sigma, z), conditional)); // α x̂
      d = sub(d, mul(along(d, x), 1 - eta));
    }
    return add(conditional, mul(d, w));
  };
}

/** min(1, r/‖Δ‖), ‖Δ‖ = e^{−λ/2} ‖d‖. */
const shortening = (d: Tensor, lambda: Tensor1D, limit: number): Tensor => {
  const length = mul(norm(d), perSample(exp(mul(lambda, -0.5)), d));
  return minimum(1, div(limit, add(length, 1e-30)));
};

/** The part of `d` along `x`; 0 where x is 0. */
const along = (d: Tensor, x: Tensor): Tensor => mul(divNoNan(inner(d, x), inner(x, x)), x);
