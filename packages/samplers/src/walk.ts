import { checkIncreasing, type Value } from '@logsnr/core';
import { dispose, Tensor, tensor_util, tidy } from '@tensorflow/tfjs-core';
import type { Sampler } from './sampler.js';

/** Where a walk stands after a step: the step's number (1 … T), the log-SNR reached (+∞ at the last), and z there. */
export interface Step<V extends Value = Tensor> {
  readonly step: number;
  readonly steps: number;
  readonly lambda: number;
  /** Borrowed: it lives until the walk goes on. Clone it to keep it. */
  readonly z: V;
}

export interface Walk<S, V extends Value> {
  eps: (z: V, lambda: number) => V;
  sampler: Sampler<S, V>;
  /** λ_1 < … < λ_T. */
  lambdas: readonly number[];
  /** z at λ_1; borrowed. */
  z: V;
  /** Standard normal noise for a step (1 … T) and a draw within that step (0, 1, …). */
  noise: (step: number, draw: number) => V;
}

/**
 * The one loop under every sampler: λ_1 → λ_2 → … → λ_T → +∞, one step each, the last to clean data (Ho & Salimans
 * 2022, Algorithm 2). Runs on tensors and on `Float64Array`s alike.
 * @throws RangeError when the grid does not increase strictly.
 */
export function* walk<S, V extends Value>({ eps, sampler, lambdas, z, noise }: Walk<S, V>): Generator<Step<V>, void> {
  checkIncreasing(lambdas);
  let now = keeping(() => ({ z: copy(z), state: sampler.init(z) }));
  try {
    for (const [i, from] of lambdas.entries()) {
      const to = lambdas[i + 1] ?? Number.POSITIVE_INFINITY;
      let draws = 0;
      const before = now;
      now = keeping(() => sampler.step(eps, before.z, from, to, before.state, () => noise(i + 1, draws++)));
      release(before, now);
      yield { step: i + 1, steps: lambdas.length, lambda: to, z: now.z };
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
