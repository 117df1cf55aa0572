import {
  type Cost,
  derive,
  type Memory,
  type Model,
  type ModelParts,
  memoryOf,
  type Predicted,
  perSample,
} from '@logsnr/core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { applyRule, extrapolate, type RuleLike, toRule } from './rule.js';
import { checkWeight, type Weight, weightAt, weightsAt, weightsOf, whereGuided } from './weight.js';

/** The better and the worse prediction, and what the models that made them remember. */
export interface Pair {
  readonly conditional: Predicted;
  readonly unconditional: Predicted;
  readonly memory: Memory;
}

/** How the two predictions are made and what that costs, and the same where w is 0. Called within a tidy. */
export interface Frame<C> {
  /** The conditional prediction alone. */
  plain(z: Tensor, lambda: Tensor1D, condition: C, memory: Memory): Predicted;
  pair(z: Tensor, lambda: Tensor1D, condition: C, memory: Memory): Pair;
  plainCost(lambda: number): Cost;
  pairCost(lambda: number): Cost;
  /** What the models remember before the first call, for `plain` and `pair` alike. */
  start(n: number, shape: readonly number[]): Memory;
  /** Throws on conditions that do not fit n samples, also where w is 0. */
  check?: ((condition: C, n: number) => void) | undefined;
}

/**
 * What all methods with two predictions share: the conditional prediction where w(λ) is 0, else `rule` of the two. A learned
 * variance is the conditional prediction's.
 *
 * `at(λ)` is a model that makes one prediction where w(λ) is 0. Where it is not, a `WeightSchedule` is computed as a tensor and λ is
 * not read.
 * @param frame gets the models, or their variants at a λ.
 * @throws RangeError when w is not finite; TypeError when a model gives a second ε̂ to renoise with.
 */
export function guide<Models extends readonly Model<never>[], C>(
  models: readonly [...Models],
  frame: (models: readonly [...Models]) => Frame<C>,
  w: Weight,
  ruleLike: RuleLike = extrapolate,
): Model<C> {
  checkWeight(w);
  for (const model of models) checkWhole(model);
  const rule = toRule(ruleLike);
  const variance = models[0]?.gives.variance ?? false;
  return derive<Models, C>(models, (models) => {
    const { plain, pair, plainCost, pairCost, start, check } = frame(models);
    const parts = (weights: (lambda: Tensor1D) => number | Tensor1D): ModelParts<C> => ({
      predict(z, lambda, condition, memory) {
        check?.(condition, z.shape[0] as number);
        const [inner, ruleMemory] = [memoryOf(memory, 0), memoryOf(memory, 1)];
        const w = weights(lambda);
        if (w === 0) {
          const only = plain(z, lambda, condition, inner);
          return { ...only, memory: [only.memory, ruleMemory] };
        }
        const made = pair(z, lambda, condition, inner);
        const { conditional, unconditional } = made;
        const each = typeof w === 'number' ? w : perSample(w, z);
        const guided = applyRule(rule, conditional, unconditional, { w: each, z, lambda }, ruleMemory);
        const own = (kind: 'x' | 'eps') =>
          typeof each === 'number' ? guided[kind] : whereGuided(each, conditional[kind], guided[kind]);
        return {
          x: own('x'),
          eps: own('eps'),
          variance: conditional.variance,
          memory: [made.memory, guided.memory],
        };
      },
      cost: (lambda) => (weightAt(w, lambda) === 0 ? plainCost(lambda) : pairCost(lambda)),
      gives: { variance },
      start: (n, shape) => [start(n, shape), rule.start?.(n, shape) ?? null],
    });
    return variants(parts, w);
  });
}

/** The parts of a guided model with its variants at a λ: one where w(λ) is 0, one where it is not. */
export function variants<C>(
  parts: (weights: (lambda: Tensor1D) => number | Tensor1D) => ModelParts<C>,
  w: Weight,
): ModelParts<C> {
  if (typeof w === 'number') return parts(() => w);
  const variant = (weights: (lambda: Tensor1D) => number | Tensor1D): Model<C> =>
    derive<[], C>([], () => parts(weights));
  const [off, on] = [variant(() => 0), variant((lambda) => weightsOf(w, lambda))];
  return { ...parts((lambda) => weightsAt(w, lambda)), at: (lambda) => (weightAt(w, lambda) === 0 ? off : on) };
}

/** Throws a `TypeError` when a model gives a second ε̂ to renoise with, which guidance around it would lose. */
export function checkWhole<C>(model: Model<C>): void {
  if (model.gives.renoise)
    throw new TypeError(
      'the model gives a second ε̂ to renoise with, as cfgPlusPlus does; guidance goes inside such a model, not around it.',
    );
}
