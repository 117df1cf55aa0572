import { checkInteger, checkNotNegative } from '@logsnr/core';

/** A constant, or a function of the step (from 0) and of the run's progress ∈ [0, 1]. */
export type LearningRate = number | ((step: number, progress: number) => number);

/**
 * `first` at the start, `last` at the end, along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5):
 * last + (first − last)(1 + cos π·progress)/2. Progress is a fraction of the run, so a run limited by time decays as
 * well.
 */
export function cosineDecay(first: number, last = 0): (step: number, progress: number) => number {
  checkNotNegative('first', first);
  checkNotNegative('last', last);
  return (_step, progress) => last + ((first - last) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** The rate of one step. @throws RangeError when it is negative or not finite. */
export function rateAt(rate: LearningRate, step: number, progress: number): number {
  const value = typeof rate === 'function' ? rate(step, progress) : rate;
  checkNotNegative(`the learning rate of step ${step}`, value);
  return value;
}

/** `first` at the start, `last` at the end, along a straight line over the run's progress. */
export function linearDecay(first: number, last = 0): (step: number, progress: number) => number {
  checkNotNegative('first', first);
  checkNotNegative('last', last);
  return (_step, progress) => first + (last - first) * progress;
}

/**
 * rate/√max(1, (step + 1)/after): constant for `after` steps, then falling with the root of the step (Vaswani et al.
 * 2017, arXiv 1706.03762, eq. 3, without its warm-up; EDM2's t_ref, Karras et al. 2024, arXiv 2312.02696). It needs no
 * end of the run.
 */
export function inverseSqrt(rate: number, after: number): (step: number) => number {
  checkNotNegative('rate', rate);
  checkInteger('after', after, 1);
  return (step) => rate / Math.sqrt(Math.max(1, (step + 1) / after));
}

/** Any rate, times min(1, (step + 1)/steps): a linear warm-up (Goyal et al. 2017, arXiv 1706.02677, section 2.2). */
export function warmUp(rate: LearningRate, steps: number): (step: number, progress: number) => number {
  checkInteger('steps', steps, 1);
  return (step, progress) => rateAt(rate, step, progress) * Math.min(1, (step + 1) / steps);
}
