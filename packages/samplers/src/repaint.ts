import { alpha, checkInteger, combine, sigma } from '@logsnr/core';
import { add, mul, sub, type Tensor } from '@tensorflow/tfjs-core';
import { isData, noised } from './exact-moves.js';
import type { Sampler } from './sampler.js';

export interface RepaintOptions {
  /** The picture whose known part stays, of the samples' shape or [1, …]; borrowed for as long as the sampler is used. */
  known: Tensor;
  /** 1 where `known` stays and 0 where it is to be painted, of a shape that broadcasts; borrowed likewise. */
  mask: Tensor;
  /** How often each stretch is painted: the paper's r. 1 is plain replacement. */
  times?: number;
  /** Steps that a stretch goes back: the paper's jump length j. */
  jump?: number;
}

/**
 * Inpainting with any sampler: RePaint (Lugmayr et al. 2022, arXiv 2201.09865, Algorithm 1). After a step to λ' the known
 * part is replaced by itself with the noise of λ', α' x + σ' n, at the end by x. Every `jump` steps noise takes z back by
 * as many, and they are made again, so that the painted part comes to fit the known one. A sampler with a state begins
 * anew after each way back.
 */
export function repaint<S>(inner: Sampler<S>, { known, mask, times = 10, jump = 1 }: RepaintOptions): Sampler<S> {
  checkInteger('times', times, 1);
  checkInteger('jump', jump, 1);
  const goesBack = (index: number, points: readonly number[]) => (index + 1) % jump === 0 && !isData(points[index + 1]);
  const { calls, ...rest } = inner;
  const stretch = (index: number, points: readonly number[]) =>
    Array.from({ length: jump }, (_, i) => calls?.(index - i, points) ?? 0).reduce((sum, count) => sum + count);
  return {
    ...rest,
    name: `repaint(${inner.name})`,
    compiles: false,
    ...(calls && {
      calls: (index: number, points: readonly number[]) =>
        calls(index, points) + (goesBack(index, points) ? (times - 1) * stretch(index, points) : 0),
    }),
    step(context, state) {
      const { to, index, points, noise } = context;
      const painted = (place: Partial<typeof context>, state: S) => {
        const { to } = { ...context, ...place };
        const next = inner.step({ ...context, ...place }, state);
        const kept = isData(to) ? known : combine([alpha(to), known], [sigma(to), noise()]);
        return { z: add(mul(mask, kept), mul(sub(1, mask), next.z)), state: next.state };
      };
      let next = painted({}, state);
      if (goesBack(index, points))
        for (let time = 1; time < times; time++) {
          const first = index + 1 - jump;
          const start = noised(next.z, to, points[first] as number, noise);
          next = { z: start, state: inner.init(start, points.slice(first)) };
          for (let i = first; i <= index; i++) {
            const [from, to] = [points[i] as number, points[i + 1] as number];
            next = painted({ z: next.z, from, to, index: i }, next.state);
          }
        }
      return next;
    },
  };
}
