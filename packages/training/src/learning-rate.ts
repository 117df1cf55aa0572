import { checkWithin } from '@logsnr/core';

/** A constant, or a function of the step (from 0) and of the run's progress ∈ [0, 1]. */
export type LearningRate = number | ((step: number, progress: number) => number);

/**
 * `first` at the start, `last` at the end, along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5):
 * last + (first − last)(1 + cos π·progress)/2. Progress is a fraction of the run, so a run limited by time decays as well.
 */
export function cosineDecay(first: number, last = 0): (step: number, progress: number) => number {
  checkWithin('first', first, 0, Number.MAX_VALUE);
  checkWithin('last', last, 0, Number.MAX_VALUE);
  return (_step, progress) => last + ((first - last) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** The rate of one step. @throws RangeError when it is negative or not finite. */
export function rateAt(rate: LearningRate, step: number, progress: number): number {
  const value = typeof rate === 'function' ? rate(step, progress) : rate;
  checkWithin(`the learning rate of step ${step}`, value, 0, Number.MAX_VALUE);
  return value;
}
