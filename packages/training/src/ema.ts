import { checkInteger } from '@logsnr/core';

/** An average of weights along training: average ← average + blend (θ − average), blend = 1 − d of step `step` (from 0). */
export interface Ema {
  blend(step: number): number;
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
    blend(step) {
      checkInteger('step', step);
      return 1 - (warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay);
    },
  };
}
