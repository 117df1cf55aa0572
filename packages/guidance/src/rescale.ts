import { checkWithin } from '@logsnr/core';
import { add, divNoNan, greater, moments, mul, onesLike, sqrt, type Tensor, where } from '@tensorflow/tfjs-core';
import { within } from './norms.js';
import { combineEps, extrapolate, type Rule, type RuleLike, toRule } from './rule.js';

/**
 * Rescaled guidance (Lin et al. 2023, arXiv 2305.08891, section 3.4): the ε̃ of a rule is given the
 * standard deviation of the conditional prediction, ε̃' = ε̃ · std(ε_c)/std(ε̃), and φ ε̃' + (1 − φ) ε̃ is returned. The
 * deviations are those of a sample's values about their mean. Where std(ε̃) is 0, ε̃ is left as it is.
 * @param phi φ in [0, 1]: 0 is the rule bit for bit; the paper uses 0.7.
 * @throws RangeError when φ is outside [0, 1].
 */
export function rescale(phi = 0.7, of: RuleLike = extrapolate): Rule {
  checkWithin('phi', phi, 0, 1);
  const rule = toRule(of);
  if (phi === 0) return rule;
  return {
    acts: 'eps',
    combine(predictions, before) {
      const made = combineEps(rule, predictions, before);
      const std = deviation(made.value);
      const ratio = where(greater(std, 0), divNoNan(deviation(predictions.conditional), std), onesLike(std));
      return { value: mul(made.value, add(mul(ratio, phi), 1 - phi)), memory: made.memory };
    },
    ...(rule.start && { start: rule.start }),
  };
}

function deviation(x: Tensor): Tensor {
  return sqrt(moments(x, within(x), true).variance);
}
