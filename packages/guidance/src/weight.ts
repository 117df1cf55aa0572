import { checkFinite, checkIncreasing, perSample } from '@logsnr/core';
import {
  add,
  atan,
  cos,
  exp,
  fill,
  greaterEqual,
  less,
  lessEqual,
  logicalAnd,
  maximum,
  mul,
  pow,
  sub,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tidy,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';

/** A weight w(λ) in two forms that give the same numbers: of a number, and of a tensor, which a graph can hold. */
export interface WeightSchedule {
  at(lambda: number): number;
  /** Shape [n] → [n]; a pure expression of tensors. */
  of(lambda: Tensor1D): Tensor1D;
}

/**
 * A guidance weight in the paper's convention, in which 0 is no guidance: a constant, a function of λ in nats, or a
 * {@link WeightSchedule}.
 *
 * Samplers tell a guided model the λ of a step beforehand, so steps at which w(λ) = 0 cost what the unguided model costs. A model
 * that is called without that reads λ; where it cannot (a graph is being captured) a schedule is computed as a tensor, with the
 * same numbers, and a plain function of a number cannot be used.
 */
export type Weight = number | ((lambda: number) => number) | WeightSchedule;

/** The paper's w from the "guidance scale" s = 1 + w of other libraries, in which s = 1 is no guidance. */
export function fromScale(s: number): number {
  checkFinite('s', s);
  return s - 1;
}

/** Throws a `RangeError` when a constant weight is not finite. */
export function checkWeight(w: Weight, what = 'w'): void {
  if (typeof w === 'number') checkFinite(what, w);
}

/** w at one λ. @throws RangeError when it is not finite. */
export function weightAt(w: Weight, lambda: number): number {
  if (typeof w === 'number') return w;
  const value = typeof w === 'function' ? w(lambda) : w.at(lambda);
  checkFinite(`w(${lambda})`, value);
  return value;
}

/** w of each sample [n], or the one number that they share. */
export function weightsAt(w: Weight, lambda: Tensor1D): number | Tensor1D {
  if (typeof w === 'number') return w;
  const numbers = read(w, lambda);
  if (!numbers) return (w as WeightSchedule).of(lambda);
  const weights = Float32Array.from(numbers, (value) => weightAt(w, value));
  const first = weights[0] ?? 0;
  if (weights.every((weight) => weight === first)) return weightAt(w, numbers[0] as number);
  return tensor1d(weights);
}

/** The same where w(λ) is known not to be 0: a schedule is computed as a tensor, without reading λ. */
export const weightsOf = (w: Weight, lambda: Tensor1D): number | Tensor1D =>
  typeof w === 'object' ? w.of(lambda) : weightsAt(w, lambda);

/** A weight shaped to multiply z. */
export const spread = (w: number | Tensor1D, z: Tensor): number | Tensor =>
  typeof w === 'number' ? w : perSample(w, z);

/** λ as numbers; undefined where it cannot be read and the weight does without. */
function read(w: Exclude<Weight, number>, lambda: Tensor1D): Float32Array | undefined {
  if (typeof w === 'function')
    return readLambda(lambda, 'w', 'Give a WeightSchedule instead, such as interval(…) or rising(…), or {at, of}.');
  try {
    return lambda.dataSync<'float32'>();
  } catch {
    return undefined;
  }
}

/** λ as numbers, which `what`, a function of a number, needs. @throws Error where they cannot be read. */
export function readLambda(lambda: Tensor1D, what: string, advice: string): Float32Array {
  try {
    return lambda.dataSync<'float32'>();
  } catch (error) {
    throw new Error(
      `${what} is a function of a number, which needs the values of λ, and they cannot be read here (${(error as Error).message}). ${advice}`,
    );
  }
}

/** A weight as a schedule. */
const scheduled = (w: number | WeightSchedule): WeightSchedule =>
  typeof w === 'number' ? { at: () => w, of: (lambda) => fill(lambda.shape, w) as Tensor1D } : w;

/** The noise levels at which to guide: low ≤ λ ≤ high in nats, or low < σ ≤ high of EDM's σ = σ_λ/α_λ = e^{−λ/2}. */
export type Range = { lambda: readonly [low: number, high: number] } | { sigma: readonly [low: number, high: number] };

/**
 * Guidance in an interval of noise levels: w inside, 0 outside (Kynkäänniemi et al. 2024, arXiv 2404.07724), where
 * only ε(z, c) is evaluated. Their σ_lo < σ ≤ σ_hi is `{ sigma: [σ_lo, σ_hi] }`; 0 and `Infinity` leave an end open.
 * @throws RangeError when the ends are not in order.
 */
export function interval(w: number | WeightSchedule, range: Range): WeightSchedule {
  checkWeight(typeof w === 'number' ? w : 0);
  const [first, second] = 'lambda' in range ? range.lambda : range.sigma;
  if (!(first <= second && ('lambda' in range || first >= 0)))
    throw new RangeError(`the interval is [${first}, ${second}]; give two numbers in increasing order, σ not below 0.`);
  const ends = 'lambda' in range ? [first, second] : [-2 * Math.log(second), -2 * Math.log(first)];
  // λ arrives as float32, so the ends are rounded as it is.
  const [low, high] = ends.map((end) => Math.fround(end)) as [number, number];
  const { at, of } = scheduled(w);
  const open = 'sigma' in range;
  const below = (lambda: number) => (open ? lambda < high : lambda <= high);
  return {
    at: (lambda) => (Math.fround(lambda) >= low && below(Math.fround(lambda)) ? at(lambda) : 0),
    of: (lambda) =>
      tidy(() => {
        const under = (open ? less : lessEqual)(lambda, finite(high));
        const inside = logicalAnd(greaterEqual(lambda, finite(low)), under);
        return where(inside, of(lambda), zerosLike(lambda)) as Tensor1D;
      }),
  };
}

/**
 * The part of a walk from the fraction `start` to `stop` of its steps, as the range of an {@link interval}: of the T points of the grid those with
 * ⌊start · T⌋ ≤ i < ⌊stop · T⌋, counted from noise, which are the steps that `start` and `stop` of HF diffusers' guiders name. A λ between two
 * points, at which some samplers call too, goes with the point before it. The ends of the walk are left open.
 * @throws RangeError when the grid does not increase, 0 ≤ start < stop ≤ 1 does not hold, or no point is in between.
 */
export function stepRange(lambdas: readonly number[], start: number, stop: number): Range {
  checkIncreasing(lambdas);
  if (!(0 <= start && start < stop && stop <= 1))
    throw new RangeError(`start is ${start} and stop is ${stop}; give fractions with 0 ≤ start < stop ≤ 1.`);
  const [first, end] = [start, stop].map((part) => Math.floor(part * lambdas.length)) as [number, number];
  if (first === end)
    throw new RangeError(
      `no step of ${lambdas.length} is between ${start} and ${stop}; give a wider range or more steps.`,
    );
  const low = first === 0 ? Number.NEGATIVE_INFINITY : (lambdas[first] as number);
  const next = lambdas[end];
  // Just below the next point, which λ in float32 tells apart from it.
  const high = next === undefined ? Number.POSITIVE_INFINITY : next - Math.max(Math.abs(next), 1e-3) * 2 ** -22;
  return { lambda: [low, high] };
}

const finite = (end: number): number => Math.min(Math.max(end, -3e38), 3e38);

/** How a weight rises from noise (t = 1) to data (t = 0). */
export type Rise = 'linear' | 'cosine' | { powered: number };

/**
 * A weight that rises as the noise falls (Wang et al. 2024, arXiv 2404.13040): w · 2(1 − t), w · (1 + cos πt), or with
 * `powered` s their powered cosine w · (1 − cos π(1 − t)^s)/2; never below `floor`, their "clamped" forms.
 *
 * Their t ∈ [0, 1] is the fraction of the diffusion time, here t = (2/π) arctan e^{−λ/2}, the angle of (α, σ), in which the
 * arctan schedule of Ho & Salimans walks evenly. The first two have mean w over t.
 * @throws RangeError on an unknown form.
 */
export function rising(w: number, form: Rise = 'linear', floor = Number.NEGATIVE_INFINITY): WeightSchedule {
  checkWeight(w);
  if (form !== 'linear' && form !== 'cosine' && !(typeof form === 'object' && form.powered > 0))
    throw new RangeError(
      `the form is ${JSON.stringify(form)}; it must be "linear", "cosine" or { powered: s } with s > 0.`,
    );
  const low = finite(floor);
  const number = (t: number): number => {
    if (form === 'linear') return 2 * (1 - t);
    return form === 'cosine' ? 1 + Math.cos(Math.PI * t) : (1 - Math.cos(Math.PI * (1 - t) ** form.powered)) / 2;
  };
  const values = (t: Tensor): Tensor => {
    if (form === 'linear') return mul(sub(1, t), 2);
    if (form === 'cosine') return add(1, cos(mul(t, Math.PI)));
    return mul(sub(1, cos(mul(pow(sub(1, t), form.powered), Math.PI))), 0.5);
  };
  return {
    at: (lambda) => Math.max(w * number(time(lambda)), low),
    of: (lambda) => tidy(() => maximum(mul(values(times(lambda)), w), low) as Tensor1D),
  };
}

/** t = (2/π) arctan(σ/α) ∈ [0, 1]: 0 is data, 1 is noise. */
export const time = (lambda: number): number => (2 / Math.PI) * Math.atan(Math.exp(-lambda / 2));
export const times = (lambda: Tensor1D): Tensor1D => mul(atan(exp(mul(lambda, -0.5))), 2 / Math.PI) as Tensor1D;
