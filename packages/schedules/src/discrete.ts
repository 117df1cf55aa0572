import { checkChoice, checkIncreasing, checkInteger, checkWithin, type Schedule } from '@logsnr/core';

/** The log-SNR of a discrete-time model, whose times are 0 (nearly clean) … T − 1 (noise). */
export interface DiscreteTimes {
  /** T. */
  readonly steps: number;
  /** λ_t = ln(ᾱ_t/(1 − ᾱ_t)) of every time, falling. */
  readonly lambdas: readonly number[];
  /** λ at a time in [0, T − 1]; between the model's own times ln(σ/α) = −λ/2 is interpolated. */
  lambdaOf(t: number): number;
  /** The time of a λ, the inverse of `lambdaOf`; beyond the ends the nearest time. */
  timeOf(lambda: number): number;
  /** The whole time nearest to `timeOf`, halves to the even one. */
  wholeTimeOf(lambda: number): number;
  /** Uniform in time: u ↦ `lambdaOf`(u (T − 1)). */
  readonly schedule: Schedule;
}

/**
 * The log-SNR table of a discrete-time model from its β_0 … β_{T−1}: ᾱ_t = Π_{i≤t} (1 − β_i) and α² = ᾱ, σ² = 1 − ᾱ
 * (Ho et al. 2020, arXiv 2006.11239, eq. 4). ln ᾱ is summed, so that both ends keep their digits.
 * @throws RangeError unless there are at least 2 betas, all in (0, 1).
 */
export function discrete(betas: ArrayLike<number>): DiscreteTimes {
  if (betas.length < 2) throw new RangeError(`there are ${betas.length} betas; a table needs at least 2.`);
  let log = 0;
  const lambdas = Array.from(betas, (beta, t) => {
    if (!(beta > 0 && beta < 1))
      throw new RangeError(
        `betas[${t}] is ${beta}; it must be above 0 and below 1 (β = 1 has no signal left: λ = −∞).`,
      );
    log += Math.log1p(-beta);
    return log - Math.log(-Math.expm1(log));
  });
  return timesOf(lambdas);
}

function timesOf(lambdas: readonly number[]): DiscreteTimes {
  const last = lambdas.length - 1;
  const at = (t: number) => lambdas[t] as number;
  const lambdaOf = (t: number) => {
    checkWithin('t', t, 0, last);
    const below = Math.min(Math.floor(t), last - 1);
    const weight = t - below;
    return weight === 1 ? at(below + 1) : at(below) + weight * (at(below + 1) - at(below));
  };
  const timeOf = (lambda: number) => {
    if (Number.isNaN(lambda)) throw new RangeError('lambda is NaN; it must be a number.');
    if (lambda >= at(0)) return 0;
    if (lambda <= at(last)) return last;
    let [low, high] = [0, last];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (at(middle) >= lambda) low = middle;
      else high = middle;
    }
    return low + (at(low) - lambda) / (at(low) - at(high));
  };
  return {
    steps: lambdas.length,
    lambdas,
    lambdaOf,
    timeOf,
    wholeTimeOf: (lambda) => roundHalfEven(timeOf(lambda)),
    schedule: (u) => {
      checkWithin('u', u, 0, 1);
      return lambdaOf(u * last);
    },
  };
}

/** How to pick few of T times. */
export type Respacing = 'linspace' | 'leading' | 'trailing';

/**
 * S of the times 0 … T − 1, from the noisiest (Lin et al. 2023, arXiv 2305.08891, table 2, counted from 0):
 * `leading` 0, r, 2r, … with r = ⌊T/S⌋; `linspace` S points from 0 to T − 1; `trailing` T − 1, T − 1 − T/S, ….
 * Halves are rounded to even.
 * @throws RangeError on an unknown spacing or more steps than times.
 */
export function respacedTimes(times: number, steps: number, spacing: Respacing): number[] {
  checkInteger('times', times, 2);
  checkInteger('steps', steps, 1);
  checkChoice('spacing', spacing, ['linspace', 'leading', 'trailing']);
  if (steps > times) throw new RangeError(`steps is ${steps}; there are only ${times} times.`);
  const from = (value: (i: number) => number) => Array.from({ length: steps }, (_, i) => value(i));
  if (spacing === 'leading') return from((i) => (steps - 1 - i) * Math.floor(times / steps));
  if (spacing === 'trailing') return from((i) => roundHalfEven(times - (i * times) / steps) - 1);
  return steps === 1 ? [times - 1] : from((i) => roundHalfEven(((steps - 1 - i) * (times - 1)) / (steps - 1)));
}

/**
 * The grid of a discrete-time model at times of one's own, which fall.
 * @throws RangeError on a time outside [0, T − 1], or times that do not fall.
 */
export function fromTimes(model: DiscreteTimes, times: readonly number[]): number[] {
  const lambdas = times.map((t) => model.lambdaOf(t));
  checkIncreasing(lambdas);
  return lambdas;
}

/** The grid of {@link respacedTimes} of a discrete-time model. */
export const respaced = (model: DiscreteTimes, steps: number, spacing: Respacing): number[] =>
  fromTimes(model, respacedTimes(model.steps, steps, spacing));

/** Rounds to the nearest integer, halves to the even one. */
function roundHalfEven(value: number): number {
  const nearest = Math.round(value);
  return Math.abs(value % 1) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
