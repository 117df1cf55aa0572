import { checkWithin } from '@logsnr/core';
import { add, divNoNan, greater, moments, mul, onesLike, sqrt, type Tensor, where } from '@tensorflow/tfjs-core';
import { extrapolate, type Rule } from './guide.js';

/**
 * Rescaled guidance (Lin et al. 2023, arXiv 2305.08891, section 3.4): the result of `rule` is given the
 * standard deviation of the conditional prediction, ε̃' = ε̃ · std(ε_c)/std(ε̃), and φ ε̃' + (1 − φ) ε̃ is returned. The
 * deviations are those of a sample's values about their mean. Where std(ε̃) is 0, ε̃ is left as it is.
 * @param phi φ in [0, 1]: 0 is `rule` bit for bit; the paper uses 0.7.
 * @throws RangeError when φ is outside [0, 1].
 */
export function rescale(phi = 0.7, rule: Rule = extrapolate): Rule {
  checkWithin('phi', phi, 0, 1);
  if (phi === 0) return rule;
  return (predictions) => {
    const guided = rule(predictions);
    const std = deviation(guided);
    const ratio = where(greater(std, 0), divNoNan(deviation(predictions.conditional), std), onesLike(std));
    return mul(guided, add(mul(ratio, phi), 1 - phi));
  };
}

function deviation(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i).slice(1);
  return sqrt(moments(x, axes, true).variance);
}
