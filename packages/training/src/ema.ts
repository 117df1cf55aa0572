import { checkInteger, type Parameters } from '@logsnr/core';
import { add, mul, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Scalars } from './optimizer.js';

/** An average of weights along training; like an optimizer, a pure function and the numbers of each step. */
export interface Ema {
  /** `blend` = 1 − d of step `step` (from 0). */
  scalars(step: number): { readonly blend: number };
  /** average + (1 − d)(parameters − average), which the caller owns. */
  update(average: Parameters, parameters: Parameters, scalars: Scalars): Parameters;
}

/**
 * The exponential moving average of weights: average ← average + (1 − d)(θ − average).
 *
 * With `warmup` (the default) d = min(decay, (1 + step)/(10 + step)), so that the first steps are forgotten soon and a
 * short run gets an average of its own later part; without it d = decay.
 * @throws RangeError when the decay is outside [0, 1).
 */
export function ema(decay: number, { warmup = true }: { readonly warmup?: boolean } = {}): Ema {
  if (!(decay >= 0 && decay < 1)) throw new RangeError(`decay is ${decay}; it must lie in [0, 1).`);
  return {
    scalars(step) {
      checkInteger('step', step);
      return { blend: 1 - (warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay) };
    },
    update(average, parameters, scalars) {
      const { blend } = scalars;
      if (!blend) throw new RangeError('scalars has no "blend"; enter what `scalars(step)` returns.');
      return tidy(() =>
        Object.fromEntries(
          Object.entries(average).map(([name, value]): [string, Tensor] => {
            const current = parameters[name];
            if (!current) throw new RangeError(`parameters has no "${name}", which the average has.`);
            return [name, add(value, mul(sub(current, value), blend))];
          }),
        ),
      );
    },
  };
}
