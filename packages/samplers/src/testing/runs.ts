import { type Estimate, type Key, key } from '@logsnr/core';
import { arctan, grid } from '@logsnr/schedules';
import { type SampleOptions, sample } from '../sample.js';
import { predictEps, type Sampler } from '../sampler.js';
import { type Steps, walk } from '../walk.js';

export type Numbers = Sampler<unknown, Float64Array>;

/** λ_1 < … < λ_T of so many steps, from λ = −20 or so to 20. */
export type Grid = (steps: number) => readonly number[];

/** The paper's arctan grid (Ho & Salimans 2022) from −20 to 20. */
export const arctanGrid: Grid = (steps) => grid(arctan(), steps);

/** ε of numbers at λ. */
export type NumbersEps = (z: Float64Array, lambda: number) => Float64Array;

/** `predictEps`, with an ε to renoise with and a variance where they are given. */
export const estimates =
  (eps: NumbersEps, more: { renoise?: NumbersEps | undefined; variance?: NumbersEps | undefined } = {}) =>
  (z: Float64Array, lambda: number): Estimate<Float64Array> => ({
    ...predictEps(eps)(z, lambda),
    renoise: more.renoise?.(z, lambda) ?? null,
    variance: more.variance?.(z, lambda) ?? null,
  });

/** Equal steps from `first` on, which end at `end`. */
export const evenGrid = (first: number, end: number, steps: number): number[] =>
  Array.from({ length: steps }, (_, i) => first + ((end - first) * i) / steps);

/** The same, its steps 1.3 and 0.7 times as long in turn: a coefficient for equal steps alone shows. */
export const unevenGrid = (first: number, end: number, steps: number): number[] =>
  evenGrid(first, end, steps).map((lambda, i) => lambda + (i % 2) * 0.3 * ((end - first) / steps));

export interface NumbersRun {
  sampler: Numbers;
  eps: NumbersEps;
  renoise?: NumbersEps;
  variance?: NumbersEps;
  lambdas: readonly number[];
  z: Float64Array;
  end?: number;
  noise?: (step: number, draw: number) => Float64Array;
}

/** Every step of a walk on numbers. The noise is a fixed sequence of numbers unless given. */
export const steps64 = ({ noise, eps, renoise, variance, ...run }: NumbersRun): Steps<Float64Array> =>
  walk({
    ...run,
    predict: estimates(eps, { renoise, variance }),
    noise: noise ?? ((step, draw) => run.z.map((_, i) => Math.sin(17 * step + 5 * draw + 3 * i + 1))),
  });

/** Where a walk on numbers ends. */
export function run64(run: NumbersRun): Float64Array {
  let last = run.z;
  for (const { z } of steps64(run)) last = z;
  return last;
}

/** How often a walk draws noise. */
export function drawsOf(run: NumbersRun): number {
  let draws = 0;
  const noise = () => {
    draws++;
    return new Float64Array(run.z.length);
  };
  run64({ ...run, noise });
  return draws;
}

/** Whether a sampler draws noise, on a short walk. */
export const isStochastic = (sampler: Numbers): boolean =>
  drawsOf({ sampler, eps: (z) => z.slice(), lambdas: evenGrid(-4, 4, 8), end: 4, z: Float64Array.of(1) }) > 0;

/** The numbers of a sample on tensors. */
export function runTensors<C>({
  key: k = key(7),
  ...options
}: Omit<SampleOptions<C, unknown>, 'key'> & { key?: Key }): Float32Array {
  const x = sample({ ...options, key: k });
  const values = Float32Array.from(x.dataSync());
  x.dispose();
  return values;
}

/** The root mean square of differences. */
export const rms = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.sqrt(Array.from(a, (value, i) => (value - (b[i] as number)) ** 2).reduce((sum, v) => sum + v, 0) / a.length);

export const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] as number))));
