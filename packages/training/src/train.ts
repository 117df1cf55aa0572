import {
  type Conditioning,
  checkWithin,
  type EpsFunction,
  flatten,
  fold,
  free,
  type Guided,
  type Key,
  mapTensors,
  normal,
  type Prediction,
  type Schedule,
  uniforms,
} from '@logsnr/core';
import { type Network, type Parameters, shapesOf } from '@logsnr/nn';
import { clone, slice, type Tensor, type Tensor1D, tensor1d } from '@tensorflow/tfjs-core';
import { diffusionLoss } from './diffusion-loss.js';
import { drawDropped, drawLambda, type Spread } from './draws.js';
import type { GuidedObjective } from './guided-objective.js';
import type { LogVariance } from './log-variance.js';
import type { LossWeight } from './loss-weight.js';
import { optimize } from './optimize.js';
import type { OptimizeOptions, OptimizeResult } from './optimize-options.js';
import { assertShapes } from './shapes.js';

/** A batch: n images [n, …] and n conditions. */
export interface Batch<C> {
  readonly images: Tensor;
  readonly condition: C;
}

export interface TrainOptions<C> extends Omit<OptimizeOptions<unknown>, 'loss' | 'inputs' | 'images'> {
  readonly network: Network<C>;
  /** What the network's raw output stands for: "eps" unless given. */
  readonly prediction?: Prediction;
  readonly conditioning: Conditioning<C>;
  /** p(λ), as the map from u ~ U[0, 1] to λ. */
  readonly schedule: Schedule;
  /** How the λ of a batch lie to each other; see `drawLambda`. "stratified" unless given. */
  readonly spread?: Spread;
  /** The weight of ‖ε̂ − ε‖² at each λ, whatever the network predicts. `uniform` unless given. */
  readonly weight?: LossWeight;
  /** Learn the loss's size at each λ along with the network: `logVariance` of `withLogVariance`. */
  readonly logVariance?: LogVariance;
  /** The data of step `step` (from 0), random by `key` alone. The loop disposes of it. */
  readonly batch: (step: number, key: Key) => Batch<C> | Promise<Batch<C>>;
  /** Probability of losing a condition to ∅. 0.1 unless given; the paper finds 0.1 and 0.2 best. 0 for a network without ∅. */
  readonly pUncond?: number;
  /** The seed of everything random in the run. */
  readonly key: Key;
}

export type TrainResult = OptimizeResult & { readonly ema: Parameters };

/** What `fold(key, purpose, step)` is for. The numbers are part of what a seed means and never change. */
const PURPOSE = { init: 0, data: 1, lambda: 2, dropped: 3, noise: 4, network: 5, guidance: 6 } as const;

interface Inputs<C> {
  x: Tensor;
  condition: C;
  lambda: Tensor1D;
  eps: Tensor;
  dropped?: Tensor1D;
  /** The key of what is random in the network, such as dropout: int32 [2]. */
  key: Tensor1D;
  weight?: Tensor1D;
  w?: Tensor1D;
}

/** Training of a network that takes the guidance weight with its condition. */
export interface GuidedTrainOptions<C> extends Omit<TrainOptions<C>, 'network'> {
  readonly network: Network<Guided<C>>;
  /** `distillation` of a teacher, `guidanceFree`, or one of your own. */
  readonly objective: GuidedObjective<C>;
}

/**
 * Trains a network with classifier-free guidance: Algorithm 1 of Ho & Salimans 2022 (arXiv 2207.12598). One network
 * learns the conditional and the unconditional ε, and an average of its weights is kept (`emaDecay` 0.9999 unless
 * given).
 *
 * Step t is a function of the state and (key, t): a run that was stopped and continued `from` its state is the same run
 * bit for bit, unless the learning rate follows the clock.
 * @returns the final state, whose tensors the caller owns: `parameters`, `ema` (sample from these), `optimizer`; and
 *   the losses.
 * @throws as `optimize` and `diffusionLoss` do.
 */
export function train<C>(options: TrainOptions<C>): Promise<TrainResult>;
/**
 * Trains a network that guides in one evaluation, by an `objective` of guidance; sample with `guidedNetwork` of `@logsnr/guidance`. All
 * else is as above.
 */
export function train<C>(options: GuidedTrainOptions<C>): Promise<TrainResult>;
export async function train<C>(
  options: (TrainOptions<C> & { readonly objective?: undefined }) | GuidedTrainOptions<C>,
): Promise<TrainResult> {
  const {
    network,
    objective,
    prediction,
    conditioning,
    schedule,
    spread,
    batch,
    pUncond = 0.1,
    key,
    ...rest
  } = options;
  const { weight, logVariance, ...run } = rest;
  const { accumulate = 1 } = run;
  checkWithin('pUncond', pUncond, 0, 1);
  const known = run.from?.parameters ?? run.parameters;
  if (known) assertShapes(flatten<Tensor>(known), shapesOf(network));
  const fresh = known ? undefined : network.init(fold(key, PURPOSE.init));
  let given: Batch<C> | undefined;
  let over = false; // A batch may come when nobody waits for it any more.
  const release = () => {
    if (given) free(given);
    given = undefined;
  };
  try {
    const result = await optimize<Inputs<C>>({
      ...run,
      ...(fresh ? { parameters: fresh } : {}),
      key,
      ...(run.ema ? {} : { emaDecay: run.emaDecay ?? 0.9999 }),
      images: ({ x }) => x.shape[0] as number,
      async inputs(step, part) {
        if (part === 0) {
          release();
          given = await batch(step, fold(key, PURPOSE.data, step)); // lines 2 and 3
        }
        // All is drawn for the whole batch: sample i has the λ, the noise and the ∅ that it has without parts.
        const { images, condition } = given as Batch<C>;
        const n = images.shape[0] ?? 0;
        if (n % accumulate !== 0)
          throw new RangeError(`a batch of ${n} images does not come in ${accumulate} equal parts (accumulate).`);
        const size = n / accumulate;
        const first = part * size;
        const cut = (values: Tensor): Tensor => (accumulate === 1 ? clone(values) : slice(values, first, size));
        const drawn = drawLambda(schedule, fold(key, PURPOSE.lambda, step), n, spread ? { spread } : {});
        const lambda = drawn.subarray(first, first + size);
        const dropped = pUncond > 0 ? drawDropped(fold(key, PURPOSE.dropped, step), n, pUncond) : undefined;
        const own: Inputs<C> = {
          x: cut(images),
          condition: mapTensors(condition, cut),
          lambda: tensor1d(Float32Array.from(lambda)),
          ...(weight ? { weight: tensor1d(Float32Array.from(lambda, weight)) } : {}),
          eps: normal(fold(key, PURPOSE.noise, step), [size, ...images.shape.slice(1)], first),
          ...(dropped ? { dropped: tensor1d(dropped.subarray(first, first + size)) } : {}),
          ...(objective
            ? {
                w: tensor1d(drawWeights(objective, fold(key, PURPOSE.guidance, step), n).subarray(first, first + size)),
              }
            : {}),
          key: tensor1d(Int32Array.from(fold(key, PURPOSE.network, step, part).words), 'int32'),
        };
        if (part === accumulate - 1 || over) release();
        return own;
      },
      loss(weights, { key, w, ...inputs }) {
        const apply = (z: Tensor, lambda: Tensor1D, condition: unknown): Tensor =>
          (network as Network<unknown>).apply(weights, { z, lambda, condition }, { train: true, key });
        const shared = { prediction, conditioning, ...inputs, logVariance: logVariance?.(weights, inputs.lambda) };
        if (!objective) return diffusionLoss({ ...shared, model: apply });
        return objective.loss({ ...shared, model: apply as EpsFunction<Guided<C>>, w: w as Tensor1D });
      },
    });
    return result as TrainResult;
  } finally {
    over = true;
    release();
    if (fresh) free(fresh);
  }
}

/** The guidance weights of a whole batch. */
function drawWeights<C>({ weight }: GuidedObjective<C>, key: Key, n: number): Float32Array {
  const weights = Float32Array.from(uniforms(key, n), weight);
  if (!weights.every(Number.isFinite))
    throw new RangeError(
      'the objective drew a guidance weight that is not finite; its `weight` must give finite numbers on [0, 1).',
    );
  return weights;
}
