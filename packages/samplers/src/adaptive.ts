import { alpha, alphaRatio, checkAbove, combine, scoped, type Value } from '@logsnr/core';
import { abs, add, div, max, maximum, mean, mul, reshape, square, Tensor, tidy } from '@tensorflow/tfjs-core';
import { epsMove, isData } from './exact-moves.js';
import type { Predict, Sampler } from './sampler.js';

export interface AdaptiveOptions {
  /** Relative and absolute error allowed to a step, against z. */
  rtol?: number;
  atol?: number;
  /** Length of the first step tried, in λ. */
  firstStep?: number;
}

/**
 * Adaptive steps with error control: the embedded pair of orders 3 and 2 of Bogacki & Shampine (1989, "A 3(2) pair of
 * Runge–Kutta formulas") on dy/ds = ε, y = z/α, s = σ/α. Each interval of the grid is crossed in as many steps as the
 * tolerance asks for. The error e of a step is the root mean square of error/(atol + rtol max(|z|, |z'|)), the largest of
 * the samples'. The step is taken when e ≤ 1, and the next one is 0.9 e^{−⅓} times as long. The step to λ' = +∞ is x̂, so
 * give the grid a last point with little noise. The batch shares its steps, so a sample depends on the others within the
 * tolerance.
 * @throws Error when the estimate is not a number, which means that ε̂ is not.
 */
export function adaptive<V extends Value = Tensor>({
  rtol = 1e-3,
  atol = 1e-3,
  firstStep = 0.5,
}: AdaptiveOptions = {}): Sampler<{ length: number }, V> {
  for (const [what, value] of Object.entries({ rtol, atol, firstStep })) checkAbove(what, value);
  return {
    name: `adaptive(rtol=${rtol}, atol=${atol})`,
    order: 3,
    compiles: false,
    tolerance: 10 * (rtol + atol),
    init: () => ({ length: firstStep }),
    step({ predict, z, from, to }, state) {
      if (isData(to)) return { z: combine([1, predict(z, from).x]), state };
      let { length } = state;
      let at = from;
      let now = z;
      let slope = predict(z, from).eps;
      while (at < to) {
        // A remainder of a hundredth would be a step for nothing.
        const next = at + 1.01 * length >= to ? to : at + length;
        const attempt = pair(predict, now, slope, at, next);
        const error = errorNorm(attempt.error, now, attempt.z, rtol, atol);
        if (Number.isNaN(error)) throw new Error(`the error at λ = ${next} is NaN: the model's ε̂ is not finite there.`);
        const factor = Math.min(5, Math.max(0.2, 0.9 * error ** (-1 / 3)));
        // The last step of an interval may be short for the grid's sake alone.
        if (error > 1) length = (next - at) * factor;
        else {
          length = Math.max(next === to ? length : 0, (next - at) * factor);
          at = next;
          now = attempt.z;
          slope = attempt.slope;
        }
      }
      return { z: now, state: { length } };
    },
  };
}

/** One step of the pair from λ to λ': z', ε̂ there, and the difference of the two orders. */
function pair<V extends Value>(
  predict: Predict<V>,
  z: V,
  slope: V,
  from: number,
  to: number,
): { z: V; slope: V; error: V } {
  const eps = (at: V, lambda: number) => predict(at, lambda).eps;
  return scoped(() => {
    const [s, end] = [Math.exp(-from / 2), Math.exp(-to / 2)];
    const stage = (part: number, k: V) => {
      const lambda = -2 * Math.log(s + part * (end - s));
      return eps(combine([alphaRatio(from, lambda), z], [alpha(lambda) * part * (end - s), k]), lambda);
    };
    const [second, move] = [stage(1 / 2, slope), epsMove(from, to)];
    const third = stage(3 / 4, second);
    const of = (...weights: readonly number[]) =>
      [slope, second, third].map((k, i): [number, V] => [move.eps * (weights[i] as number), k]);
    const next = combine([move.z, z], ...of(2 / 9, 1 / 3, 4 / 9));
    const last = eps(next, to);
    return { z: next, slope: last, error: combine(...of(-5 / 72, 1 / 12, 1 / 9), [-move.eps / 8, last]) };
  });
}

/** The largest over samples of the root mean square of error/(atol + rtol max(|z|, |z'|)). */
function errorNorm<V extends Value>(error: V, z: V, next: V, rtol: number, atol: number): number {
  if (error instanceof Tensor) {
    const [before, after] = [z, next] as Tensor[] as [Tensor, Tensor];
    return tidy(() => {
      const scale = add(mul(maximum(abs(before), abs(after)), rtol), atol);
      const squares = mean(reshape(square(div(error, scale)), [error.shape[0] as number, -1]), 1);
      return Math.sqrt(max(squares).dataSync()[0] as number);
    });
  }
  const [numbers, before, after] = [error, z, next] as Float64Array[] as [Float64Array, Float64Array, Float64Array];
  const scale = (i: number) => atol + rtol * Math.max(Math.abs(before[i] as number), Math.abs(after[i] as number));
  return Math.sqrt(numbers.reduce((sum, value, i) => sum + (value / scale(i)) ** 2, 0) / numbers.length);
}
