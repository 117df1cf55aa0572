import { checkFinite } from '@logsnr/core';
import { add, div, divNoNan, minimum, mul, sub, type Tensor, zeros } from '@tensorflow/tfjs-core';
import { inner, norm } from './norms.js';
import { extrapolate, type Rule } from './rule.js';

export interface ApgOptions {
  /** η: how much of the part along x̂ is kept. 1 keeps it all; the paper's method is 0. */
  eta?: number | undefined;
  /** r: the largest ‖Δ‖, in units of the data; no limit unless given. */
  norm?: number | undefined;
  /** β: momentum of Δ over the calls. The paper takes a negative one, −0.5 among others; 0 unless given. */
  momentum?: number | undefined;
}

/**
 * Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416, Algorithm 1), on the predictions of x. With
 * Δ = x̂(z, c) − x̂(z, ∅) + β Δ_before, shortened to ‖Δ‖ ≤ r and split along and across x̂(z, c),
 * x̃ = x̂(z, c) + w (Δ⊥ + η Δ∥). The part along x̂ is what oversaturates.
 *
 * Δ is kept before it is shortened, as in the authors' code, and starts at 0. A negative β takes back of each change what the
 * one before had of it. A model that is guided with it remembers Δ from call to call. η = 1 without r and β is plain guidance.
 * @throws RangeError when η or β is not finite or r is not above 0.
 */
export function apg({ eta = 0, norm: limit = Number.POSITIVE_INFINITY, momentum = 0 }: ApgOptions = {}): Rule {
  checkFinite('eta', eta);
  checkFinite('momentum', momentum);
  if (!(limit > 0)) throw new RangeError(`norm is ${limit}; it must be above 0.`);
  if (eta === 1 && limit === Number.POSITIVE_INFINITY && momentum === 0) return extrapolate;
  return {
    acts: 'x',
    combine({ conditional: x, unconditional, w }, before) {
      const change = sub(x, unconditional);
      const delta = momentum === 0 ? change : add(change, mul(before as Tensor, momentum));
      // 1e-30 against 0/0, far below the square root of the least float32.
      const short =
        limit < Number.POSITIVE_INFINITY ? mul(delta, minimum(1, div(limit, add(norm(delta), 1e-30)))) : delta;
      const kept = eta === 1 ? short : sub(short, mul(along(short, x), 1 - eta));
      return { value: add(x, mul(kept, w)), memory: momentum === 0 ? before : delta };
    },
    ...(momentum !== 0 && { start: (n, shape) => zeros([n, ...shape]) }),
  };
}

/** The part of `d` along `x`; 0 where x is 0. */
const along = (d: Tensor, x: Tensor): Tensor => mul(divNoNan(inner(d, x), inner(x, x)), x);
