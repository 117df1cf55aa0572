import { checkNotNegative } from '@logsnr/core';
import { add, div, exp, maximum, mul, sub } from '@tensorflow/tfjs-core';
import { norm } from './norms.js';
import { extrapolate, type Rule } from './rule.js';

/**
 * Magnitude-aware guidance, MAMBO-G (Zhu et al. 2025, arXiv 2508.03442): the weight is damped where guidance would change
 * much, w' = w e^{−a r} with the ratio r = ‖ε_c − ε_∅‖/‖ε_∅‖ of each sample. Where ε_∅ is 0, r is infinite and w' = 0.
 * @param a their α, at least 0: 0 is plain guidance bit for bit. 8 unless given.
 * @throws RangeError when it is negative or not finite.
 */
export function mamboG(a = 8): Rule {
  checkNotNegative('a', a);
  if (a === 0) return extrapolate;
  return {
    acts: 'eps',
    combine({ conditional, unconditional, w }) {
      const d = sub(conditional, unconditional);
      const ratio = div(norm(d), maximum(norm(unconditional), 1e-30));
      return add(conditional, mul(d, mul(exp(mul(ratio, -a)), w)));
    },
  };
}
