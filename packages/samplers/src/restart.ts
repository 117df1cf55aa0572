import { checkFinite, checkInteger, type Value } from '@logsnr/core';
import { grid, karras } from '@logsnr/schedules';
import { noised } from './exact-moves.js';
import { modelCalls, type Sampler } from './sampler.js';

/** One interval that a walk goes through again, several times. */
export interface RestartInterval {
  /** λ to which the noise is raised. */
  from: number;
  /** λ that triggers it: the step that first reaches or passes it. Above `from`. */
  to: number;
  /** How often: the paper's K. */
  times: number;
  /**
   * Steps of each pass, by Karras's points with ρ = 7 (arXiv 2206.00364, eq. 5) as in the paper; else the grid's points. The
   * authors' code counts the points: one more.
   */
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
): Sampler<S, V> {
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
    ...(calls && {
      calls(index: number, points: readonly number[]) {
        const [from, to] = [points[index] as number, points[index + 1] as number];
        const again = (interval: RestartInterval) =>
          modelCalls(inner, passOf(interval, to, points).slice(0, -1), to) ?? 0;
        return reached(from, to).reduce((sum, one) => sum + one.times * again(one), calls(index, points));
      },
    }),
    step(context, state) {
      const { from, to, index, points, noise } = context;
      let next = inner.step(context, state);
      for (const interval of reached(from, to))
        for (let pass = 0; pass < interval.times; pass++) {
          const path = passOf(interval, to, points);
          const start = noised(next.z, to, interval.from, noise);
          next = { z: start, state: inner.init(start, path) };
          for (let i = 1; i < path.length; i++) {
            const [from, to] = [path[i - 1] as number, path[i] as number];
            next = inner.step({ ...context, z: next.z, from, to, index: i - 1, points: path }, next.state);
          }
          next.state = inner.init(next.z, points.slice(index + 1));
        }
      return next;
    },
  };
}

/** The points of a pass: the grid's own, or so many equally spaced in s^{1/7}, s = e^{−λ/2}. */
function passOf({ from, steps }: RestartInterval, to: number, points: readonly number[]): number[] {
  if (steps === undefined) return [from, ...points.filter((lambda) => lambda > from && lambda < to), to];
  return [from, ...grid(karras({ lambdaMin: from, lambdaMax: to }), steps + 1).slice(1, -1), to];
}
