import { type Cost, checkIncreasing, type Memory, scoped, settle, tensorsOf, type Value } from '@logsnr/core';
import { dispose, Tensor } from '@tensorflow/tfjs-core';
import type { Place, Predict, Sampler } from './sampler.js';

/** Where a walk stands after a step: the step's number (1 … T), the log-SNR reached (+∞ at the last), and z there. */
export interface Step<V extends Value = Tensor> {
  readonly step: number;
  readonly steps: number;
  readonly lambda: number;
  /** What the step's calls of the model cost; not known of a plain `walk`. */
  readonly cost?: Cost | undefined;
  /** Borrowed: it lives until the walk goes on. Clone it to keep it. */
  readonly z: V;
  /** All that goes on to the next step, borrowed likewise. Another, of the same structure, given to `next` takes its place. */
  readonly carried: Carried<unknown, V>;
}

/**
 * Steps, one after another. Whoever drives them may replace what is carried, `steps.next(carried)`, as methods with particles do: the
 * walk owns it from then on.
 */
export type Steps<V extends Value = Tensor> = Generator<Step<V>, void, Carried<unknown, V> | undefined>;

/** {@link Steps} that are awaited. */
export type AsyncSteps<V extends Value = Tensor> = AsyncGenerator<Step<V>, void, Carried<unknown, V> | undefined>;

/** What a walk carries from step to step: z, the sampler's state and the model's memory. */
export interface Carried<S, V extends Value> {
  readonly z: V;
  readonly state: S;
  readonly memory: Memory;
}

/** One step of a walk: what is carried on, and what the model's calls cost. */
export type Advance<S, V extends Value> = (
  place: Place<V>,
  carried: Carried<S, V>,
) => Carried<S, V> & { readonly cost?: Cost | undefined };

export interface Walk<S, V extends Value> {
  predict: Predict<V>;
  sampler: Sampler<S, V>;
  /** z at λ_1; borrowed. */
  z: V;
  /** Standard normal noise for a step (1 … T) and a draw within that step (0, 1, …). */
  noise: (step: number, draw: number) => V;
  /** λ_1 < … < λ_T. */
  lambdas: readonly number[];
  /** Where the last step goes: +∞, clean data, unless given; a finite λ of at least λ_T ends with z there. */
  end?: number | undefined;
}

/**
 * A walk without a model: λ_1 → λ_2 → … → λ_T → `end`, one step each, the last to clean data (Ho & Salimans 2022, Algorithm
 * 2). Runs on tensors and on `Float64Array`s alike.
 * @throws RangeError when the grid does not increase strictly or `end` is below its last point.
 */
export const walk = <S, V extends Value>({ predict, sampler, z, noise, lambdas, end }: Walk<S, V>): Steps<V> => {
  const points = pointsOf(lambdas, end);
  const advance: Advance<S, V> = (place, { state }) => ({
    ...sampler.step({ ...place, predict }, state),
    memory: null,
  });
  return follow(advance, () => ({ z: copy(z), state: sampler.init(z, points), memory: null }), noise, points);
};

/** The points of a walk along a grid. @throws RangeError unless λ_1 < … < λ_T ≤ `end`. */
export function pointsOf(lambdas: readonly number[], end: number = Number.POSITIVE_INFINITY): number[] {
  checkIncreasing(lambdas);
  const last = lambdas.at(-1) as number;
  if (!(end >= last))
    throw new RangeError(`end is ${end}; it must be at least the last λ of the grid, ${last}, or +∞ for clean data.`);
  return [...lambdas, end];
}

/** The one loop, along any points, also from data to noise. `first` makes what is carried to the first step. */
export function* follow<S, V extends Value>(...path: Path<S, V>): Steps<V> {
  const walk = begin(...path);
  try {
    for (const step of walk.steps) walk.replace(yield walk.arrive(step()));
  } finally {
    walk.end();
  }
}

/** The same loop with the answers of each step awaited, for a model that is `deferred`. */
export async function* followAsync<S, V extends Value>(...path: Path<S, V>): AsyncSteps<V> {
  const walk = begin(...path);
  try {
    for (const step of walk.steps) walk.replace(yield walk.arrive(await settle(step)));
  } finally {
    walk.end();
  }
}

export type Path<S, V extends Value> = Parameters<typeof begin<S, V>>;

/** A walk at its first point: its steps as pure functions of where it stands, and what becomes of what they give. */
function begin<S, V extends Value>(
  advance: Advance<S, V>,
  first: () => Carried<S, V>,
  noise: (step: number, draw: number) => V,
  points: readonly number[],
) {
  const steps = points.length - 1;
  let now = scoped(first);
  let index = 0;
  const step = (): ReturnType<Advance<S, V>> =>
    scoped(() => {
      let draws = 0;
      const [from, to] = [points[index] as number, points[index + 1] as number];
      return advance({ z: now.z, from, to, index, points, noise: () => noise(index + 1, draws++) }, now);
    });
  const replace = (next: Carried<S, V>): void => {
    release(now, next);
    now = next;
  };
  return {
    steps: Array.from({ length: steps }, () => step),
    arrive({ cost, ...next }: ReturnType<Advance<S, V>>): Step<V> {
      replace(next as Carried<S, V>);
      index++;
      return { step: index, steps, lambda: points[index] as number, z: now.z, carried: now, cost };
    },
    replace(given: Carried<unknown, V> | undefined): void {
      if (given) replace(given as Carried<S, V>);
    },
    end: () => release(now, null),
  };
}

export const copy = <V extends Value>(value: V): V =>
  (value instanceof Tensor ? value.clone() : Float64Array.from(value as Float64Array)) as V;

/** Frees the tensors of `before` that `after` no longer holds. */
function release(before: object, after: object | null): void {
  const kept = new Set(tensorsOf(after ?? {}));
  dispose(tensorsOf(before).filter((tensor) => !kept.has(tensor)) as never);
}
