import { checkFinite, checkInteger, combine, transition, type Value } from '@logsnr/core';
import { modelCalls, type Sampler } from './sampler.js';

/** One interval that a walk goes through again, several times. */
export interface RestartInterval {
  /** λ to which the noise is raised. */
  from: number;
  /** λ that triggers it: the step that first reaches or passes it. Above `from`. */
  to: number;
  /** How often: the paper's K. */
  times: number;
  /** Steps of each pass, by Karras's points with ρ = 7 (arXiv 2206.00364, eq. 5) as in the paper; else the grid's points. */
  steps?: number;
}

/**
 * Restart (Xu et al. 2023, arXiv 2306.14878, Algorithm 1) around any sampler: once a step has reached an interval's `to`,
 * noise takes z back to `from` in one move, and the inner sampler walks to where it was again, `times` times. A sampler
 * with a state begins anew at every pass and after it, so a multistep method keeps order 2 at most.
 */
export function restart<S, V extends Value>(
  inner: Sampler<S, V>,
  intervals: readonly RestartInterval[],
): Sampler<{ inner: S; points: readonly number[]; step: number }, V> {
  for (const [i, { from, to, times, steps }] of intervals.entries()) {
    checkFinite(`from of interval ${i}`, from);
    checkFinite(`to of interval ${i}`, to);
    if (!(from < to))
      throw new RangeError(`interval ${i} goes from ${from} to ${to}; from must be the noisier, smaller λ.`);
    checkInteger(`times of interval ${i}`, times);
    if (steps !== undefined) checkInteger(`steps of interval ${i}`, steps, 1);
  }
  const reached = (from: number, to: number) => intervals.filter((interval) => from < interval.to && interval.to <= to);
  const { calls, ...rest } = inner;
  return {
    ...rest,
    name: `restart(${inner.name})`,
    order: Math.min(2, inner.order),
    ...(calls && { calls: (step, points) => calls(step, points) + again(inner, reached, step, points) }),
    init: (z, lambdas) => ({ inner: inner.init(z, lambdas), points: lambdas, step: 1 }),
    step(eps, z, from, to, { inner: state, points, step }, noise) {
      let next = inner.step(eps, z, from, to, state, noise);
      for (const interval of reached(from, to))
        for (let pass = 0; pass < interval.times; pass++) {
          const back = transition(to, interval.from);
          const path = passOf(interval, to, points);
          const start = combine([back.scale, next.z], [Math.sqrt(back.variance), noise()]);
          next = { z: start, state: inner.init(start, path) };
          for (let i = 1; i < path.length; i++)
            next = inner.step(eps, next.z, path[i - 1] as number, path[i] as number, next.state, noise);
          next.state = inner.init(next.z, points.slice(step));
        }
      return { z: next.z, state: { inner: next.state, points, step: step + 1 } };
    },
  };
}

function again<S, V extends Value>(
  inner: Sampler<S, V>,
  reached: (from: number, to: number) => readonly RestartInterval[],
  step: number,
  points: readonly number[],
): number {
  const [from, to] = [points[step - 1] as number, points[step] as number];
  return reached(from, to).reduce(
    (sum, interval) => sum + interval.times * (modelCalls(inner, passOf(interval, to, points).slice(0, -1), to) ?? 0),
    0,
  );
}

/** The points of a pass: the grid's own, or so many equally spaced in s^{1/7}, s = e^{−λ/2}. */
function passOf({ from, steps }: RestartInterval, to: number, points: readonly number[]): number[] {
  if (steps === undefined) return [from, ...points.filter((lambda) => lambda > from && lambda < to), to];
  const [first, last] = [Math.exp(-from / 14), Math.exp(-to / 14)];
  const between = Array.from({ length: steps - 1 }, (_, i) => first + ((i + 1) / steps) * (last - first));
  return [from, ...between.map((root) => -14 * Math.log(root)), to];
}
