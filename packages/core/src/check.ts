import { Tensor } from '@tensorflow/tfjs-core';

/** Throws a `RangeError` unless `value` is a finite number. `what` names it in the message. */
export function checkFinite(what: string, value: number): void {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new RangeError(`${what} is ${value}; it must be a finite number.`);
}

/** Throws a `RangeError` unless `value` is an integer from `least` to `most`. */
export function checkInteger(what: string, value: number, least = 0, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const accepted = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
  throw new RangeError(`${what} is ${value}; it must be an integer ${accepted}.`);
}

/** Throws a `RangeError` unless `low` ≤ `value` ≤ `high` (a NaN never is). */
export function checkWithin(what: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw new RangeError(`${what} is ${value}; it must lie in [${low}, ${high}].`);
}

/** Throws a `RangeError` unless the shape of `x` is `shape` (`null` stands for any size), a `TypeError` when it is no tensor. */
export function checkShape(what: string, x: Tensor, shape: readonly (number | null)[]): void {
  const accepted = `[${shape.map((size) => size ?? 'any').join(', ')}]`;
  if (!(x instanceof Tensor))
    throw new TypeError(`${what} is no tensor but ${kind(x)}; it must be a tensor of shape ${accepted}.`);
  const fits = x.shape.length === shape.length && shape.every((size, i) => size === null || size === x.shape[i]);
  if (!fits) throw new RangeError(`${what} has shape [${x.shape.join(', ')}]; it must be ${accepted}.`);
}

/** The name of a value's class, such as Promise; undefined and null as they are. */
const kind = (value: unknown): string =>
  value === null || value === undefined ? String(value) : (Object(value).constructor?.name ?? 'an object');

/** Throws a `RangeError` unless every entry of `indices`, each of them a `what`, is an integer in [0, `count`). */
export function checkIndices(what: string, indices: ArrayLike<number>, count: number): void {
  for (const [i, index] of Array.from(indices).entries())
    if (!Number.isInteger(index) || index < 0 || index >= count)
      throw new RangeError(
        `${what} ${index} at position ${i} is out of range; it must be an integer in [0, ${count - 1}].`,
      );
}

/** Beyond this |λ|, in nats, is no log-SNR that anybody samples at: σ or α is below e^{−50}. */
const FARTHEST = 100;

/** Throws unless λ_1 < λ_2 < … are finite and within ±100; a single value is a grid too. */
export function checkIncreasing(lambdas: readonly number[]): void {
  if (lambdas.length === 0) throw new RangeError('lambdas is empty; give at least one log-SNR value.');
  lambdas.forEach((lambda, i) => {
    checkFinite(`lambdas[${i}]`, lambda);
    if (Math.abs(lambda) > FARTHEST)
      throw new RangeError(
        `lambdas[${i}] is ${lambda}; a log-SNR lies within ±${FARTHEST} nats. If these are time steps, such as 0 … 999, turn them into λ first: fromTimes or discrete(betas).lambdas of @logsnr/schedules.`,
      );
    const before = lambdas[i - 1];
    if (before !== undefined && lambda <= before)
      throw new RangeError(
        `lambdas[${i}] = ${lambda} does not exceed lambdas[${i - 1}] = ${before}; sampling walks from noise to data, so λ must increase strictly.`,
      );
  });
}

/** Throws a `RangeError` unless `value` is finite and above `low`. */
export function checkAbove(what: string, value: number, low = 0): void {
  if (!(value > low && Number.isFinite(value)))
    throw new RangeError(`${what} is ${value}; it must be finite and above ${low}.`);
}

/** Throws a `RangeError` unless `value` is finite and at least 0. */
export function checkNotNegative(what: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value)))
    throw new RangeError(`${what} is ${value}; it must be finite and at least 0.`);
}

/** Throws a `RangeError` unless `value` is one of `choices`. */
export function checkChoice<T extends string>(what: string, value: T, choices: readonly T[]): void {
  if (choices.includes(value)) return;
  const accepted = choices.map((choice) => `"${choice}"`);
  const [last] = accepted.splice(-1);
  const all = accepted.length > 0 ? `${accepted.join(', ')} or ${last}` : last;
  throw new RangeError(`${what} is ${JSON.stringify(value)}; it must be ${all}.`);
}

/** Throws a `RangeError` when `options` has a name that is not among `known`. */
export function checkKnown(what: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new RangeError(
      `${what} does not know the option "${unknown.join('", "')}"; its options are ${known.join(', ')}.`,
    );
}
