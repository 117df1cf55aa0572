import { add, divNoNan, greater, mul, sqrt, square, sub, where } from '@tensorflow/tfjs-core';
import { inner } from './norms.js';
import type { Rule } from './rule.js';

/**
 * Tangential damping, TCFG (Kwon et al. 2025, arXiv 2503.18137): of the singular value decomposition of the two rows ε_c
 * and ε_∅, only the first right singular vector v_1 is kept in ε_∅ before guidance: ε_∅' = ⟨ε_∅, v_1⟩ v_1,
 * ε̃ = ε_c + w (ε_c − ε_∅').
 *
 * In closed form, from the 2×2 products cc, cu and uu of the rows: with the unit eigenvector (a, b) of the larger
 * eigenvalue, v_1 ∝ a ε_c + b ε_∅ and ε_∅' = a b ε_c + b² ε_∅, where a b = cu/h, b² = (1 − (cc − uu)/h)/2 and
 * h = √((cc − uu)² + 4 cu²). Where h is 0 (no direction is larger) b is 1 and ε_∅ stays as it is.
 */
export const tcfg: Rule = {
  acts: 'eps',
  combine({ conditional, unconditional, w }) {
    const [cc, uu] = [inner(conditional, conditional), inner(unconditional, unconditional)];
    const cu = inner(conditional, unconditional);
    const gap = sub(cc, uu);
    const h = sqrt(add(square(gap), mul(square(cu), 4)));
    const bb = mul(sub(1, where(greater(h, 0), divNoNan(gap, h), -1)), 0.5);
    const kept = add(mul(divNoNan(cu, h), conditional), mul(bb, unconditional));
    return add(conditional, mul(sub(conditional, kept), w));
  },
};
