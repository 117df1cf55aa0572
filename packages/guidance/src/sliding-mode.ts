import { checkNotNegative, perSample } from '@logsnr/core';
import { add, cast, fill, mul, sign, sub, type Tensor, type Tensor1D, where, zeros } from '@tensorflow/tfjs-core';
import { extrapolate, type Rule } from './rule.js';

export interface SlidingModeOptions {
  /** K, the switching gain, in units of the velocity ε − x. 0.2 unless given, as the authors recommend; 0 is plain guidance bit for bit. */
  gain?: number | undefined;
  /** The paper's λ: how fast the difference decays on the sliding surface, a step. 5 unless given. */
  decay?: number | undefined;
}

/** The difference as it was corrected at the last call, and whether there was one. */
interface Before {
  readonly [name: string]: Tensor;
  readonly error: Tensor;
  readonly known: Tensor1D;
}

/**
 * Sliding mode control of guidance, SMC-CFG (Wang et al. 2026, arXiv 2603.03281): the difference e = u_c − u_∅ of the velocities of flow
 * matching, u = ε̂ − x̂, is driven to the surface s = (e − e_before) + λ e_before = 0 by a switch of size K in every value,
 *
 * e ← e − K sign(s), ũ = u_∅ + (1 + w) e.
 *
 * e_before is the corrected e of the call before; at the first call it is e itself. This is the authors' code, whose numbers a test has. As K
 * does not shrink with w, the rule does not go over into the model as w goes to 0. A model that is guided with it remembers e from call to call.
 * @throws RangeError when a setting is negative or not finite.
 */
export function slidingMode({ gain = 0.2, decay = 5 }: SlidingModeOptions = {}): Rule {
  checkNotNegative('gain', gain);
  checkNotNegative('decay', decay);
  if (gain === 0) return extrapolate;
  return {
    acts: 'flow',
    combine({ conditional, unconditional, w }, memory) {
      const { error: kept, known } = memory as Before;
      const error = sub(conditional, unconditional);
      const before = where(cast(perSample(known, error), 'bool'), kept, error);
      const surface = add(sub(error, before), mul(before, decay));
      const corrected = sub(error, mul(sign(surface), gain));
      const next: Before = { error: corrected, known: fill(known.shape, 1) };
      return { value: add(unconditional, mul(corrected, add(w, 1))), memory: next };
    },
    start: (n, shape): Before => ({ error: zeros([n, ...shape]), known: zeros([n]) }),
  };
}
