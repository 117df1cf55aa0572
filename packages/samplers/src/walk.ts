import { type Cost, checkIncreasing, type Value } from '@logsnr/core';
import { dispose, Tensor, tensor_util, tidy } from '@tensorflow/tfjs-core';
import { checkSplit, type Eps, type Sampler } from './sampler.js';

/** Where a walk stands after a step: the step's number (1 … T), the log-SNR reached (+∞ at the last), and z there. */
export interface Step<V extends Value = Tensor> {
  readonly step: number;
  readonly steps: number;
  readonly lambda: number;
  /** What the step's evaluations of the model cost; not known in compiled graphs and on numbers. */
  readonly cost?: Cost | undefined;
  /** Borrowed: it lives until the walk goes on. Clone it to keep it. */
  readonly z: V;
}

interface Path<S, V extends Value> {
  eps: Eps<V>;
  sampler: Sampler<S, V>;
  /** z at λ_1; borrowed. */
  z: V;
  /** Standard normal noise for a step (1 … T) and a draw within that step (0, 1, …). */
  noise: (step: number, draw: number) => V;
}

export interface Walk<S, V extends Value> extends Path<S, V> {
  /** λ_1 < … < λ_T. */
  lambdas: readonly number[];
  /** Where the last step goes: +∞, clean data, unless given; a finite λ of at least λ_T ends with z there. */
  end?: number | undefined;
}

/**
 * The one loop under every sampler: λ_1 → λ_2 → … → λ_T → `end`, one step each, the last to clean data (Ho & Salimans
 * 2022, Algorithm 2). Runs on tensors and on `Float64Array`s alike.
 * @throws RangeError when the grid does not increase strictly or `end` is below its last point; TypeError when `eps`
 *   comes in two parts that the sampler does not use.
 */
export function* walk<S, V extends Value>({ lambdas, end, ...path }: Walk<S, V>): Generator<Step<V>, void> {
  checkGrid(lambdas, end);
  checkSplit(path.eps, path.sampler);
  yield* follow(path, [...lambdas, end ?? Number.POSITIVE_INFINITY]);
}

/** Throws a `RangeError` unless λ_1 < … < λ_T ≤ `end`. */
export function checkGrid(lambdas: readonly number[], end: number = Number.POSITIVE_INFINITY): void {
  checkIncreasing(lambdas);
  const last = lambdas.at(-1) as number;
  if (!(end >= last))
    throw new RangeError(`end is ${end}; it must be at least the last λ of the grid, ${last}, or +∞ for clean data.`);
}

/** The loop along any points, also from data to noise. */
export function* follow<S, V extends Value>(
  { eps, sampler, z, noise }: Path<S, V>,
  points: readonly number[],
): Generator<Step<V>, void> {
  const steps = points.length - 1;
  let now = keeping(() => ({ z: copy(z), state: sampler.init(z, points) }));
  try {
    for (let step = 1; step <= steps; step++) {
      const [from, to] = [points[step - 1] as number, points[step] as number];
      let draws = 0;
      const before = now;
      now = keeping(() => sampler.step(eps, before.z, from, to, before.state, () => noise(step, draws++)));
      release(before, now);
      yield { step, steps, lambda: to, z: now.z };
    }
  } finally {
    release(now, null);
  }
}

const copy = <V extends Value>(value: V): V =>
  (value instanceof Tensor ? value.clone() : Float64Array.from(value as Float64Array)) as V;

const tensorsOf = (container: unknown): Tensor[] => tensor_util.getTensorsInContainer(container as never);

/** `body`'s tensors are freed but for those in its result. */
const keeping = <T extends object>(body: () => T): T => tidy(body as () => never) as T;

/** Frees the tensors of `before` that `after` no longer holds. */
function release(before: object, after: object | null): void {
  const kept = new Set(tensorsOf(after ?? {}));
  dispose(tensorsOf(before).filter((tensor) => !kept.has(tensor)) as never);
}
