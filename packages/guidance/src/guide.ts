import {
  type Cost,
  defineModel,
  derive,
  type Memory,
  type Model,
  type ModelParts,
  memoryOf,
  type Predicted,
} from '@logsnr/core';
import { equal, type Tensor, type Tensor1D, where } from '@tensorflow/tfjs-core';
import { applyRule, extrapolate, type RuleLike, toRule } from './rule.js';
import { checkWeight, spread, type Weight, weightAt, weightsAt, weightsOf } from './weight.js';

/** The better and the worse of two: predictions, or what the models that make them remember. */
export type Pair<T> = readonly [better: T, worse: T];

/** How the two predictions are made, the better one by the first model and the worse one by the last. Called within a tidy. */
export interface Frame<C> {
  /** The better prediction alone. */
  plain(z: Tensor, lambda: Tensor1D, condition: C, memory: Memory): Predicted;
  pair(z: Tensor, lambda: Tensor1D, condition: C, memories: Pair<Memory>): Pair<Predicted>;
  /** What a pair costs. */
  cost(lambda: number): Cost;
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
export function guide<Models extends readonly [Model<never>, ...Model<never>[]], C>(
  models: readonly [...Models],
  frame: (models: readonly [...Models]) => Frame<C>,
  w: Weight,
  ruleLike: RuleLike = extrapolate,
): Model<C> {
  checkWeight(w);
  for (const model of models) checkWhole(model);
  const rule = toRule(ruleLike);
  return derive<Models, C>(models, (models) => {
    const { plain, pair, cost, check } = frame(models);
    const [first, last] = [models[0], models.at(-1) ?? models[0]];
    const parts = (weights: (lambda: Tensor1D) => number | Tensor1D): ModelParts<C> => ({
      predict(z, lambda, condition, memory) {
        check?.(condition, z.shape[0] as number);
        const [better, worse, ruleMemory] = [0, 1, 2].map((i) => memoryOf(memory, i)) as [Memory, Memory, Memory];
        const weight = weights(lambda);
        if (weight === 0) {
          const only = plain(z, lambda, condition, better);
          return { ...only, memory: [only.memory, worse, ruleMemory] };
        }
        const [own, other] = pair(z, lambda, condition, [better, worse]);
        const w = spread(weight, z);
        const guided = applyRule(rule, own, other, { w, z, lambda }, ruleMemory);
        const chosen = (kind: 'x' | 'eps') =>
          typeof w === 'number' ? guided[kind] : where(equal(w, 0), own[kind], guided[kind]);
        const { variance } = own;
        return { x: chosen('x'), eps: chosen('eps'), variance, memory: [own.memory, other.memory, guided.memory] };
      },
      cost: (lambda) => (weightAt(w, lambda) === 0 ? first.cost(lambda) : cost(lambda)),
      gives: { variance: first.gives.variance },
      start: (n, shape) => [first.start(n, shape), last.start(n, shape), rule.start?.(n, shape) ?? null],
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
  const [off, on] = [defineModel(parts(() => 0)), defineModel(parts((lambda) => weightsOf(w, lambda)))];
  return { ...parts((lambda) => weightsAt(w, lambda)), at: (lambda) => (weightAt(w, lambda) === 0 ? off : on) };
}

/** Throws a `TypeError` when a model gives a second ε̂ to renoise with, which guidance around it would lose. */
export function checkWhole<C>(model: Model<C>): void {
  if (model.gives.renoise)
    throw new TypeError(
      'the model gives a second ε̂ to renoise with, as cfgPlusPlus does; guidance goes inside such a model, not around it.',
    );
}
