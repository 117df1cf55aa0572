import {
  type Conditioning,
  defineModel,
  derive,
  inTurn,
  type Model,
  type ModelLike,
  type ModelParts,
  memoryOf,
  type Predicted,
  toModel,
} from '@logsnr/core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { checkWhole } from './guide.js';
import { type Both, led } from './rule.js';
import { checkWeight, spread, type Weight, weightAt, weightsAt, weightsOf } from './weight.js';

/** One thing to lead away from, and how far. */
export interface Term<C> {
  /** ∅; another condition, which a function makes of the own one and of λ [n] within a tidy; or a weaker model with the same condition. */
  readonly against: 'null' | Another<C> | { readonly model: ModelLike<C> };
  readonly weight: Weight;
}

/** Another condition for the same samples. */
interface Another<C> {
  readonly condition: (condition: C, lambda: Tensor1D) => C;
}

/**
 * Guidance away from several things around one shared conditional prediction: ε̃ = ε_c + Σ w_i (ε_c − ε_i), as Ahn et al. 2024 (arXiv
 * 2403.17377, section 4) and HF diffusers add guidance away from a perturbed model to classifier-free guidance. One term alone is
 * `classifierFree`, `autoguidance` or `independentCondition`. Where such methods are nested, ε_c is made twice, and the outer one leads away
 * from a guided prediction.
 *
 * What the model itself predicts is made in one batch unless `evaluation` is `split`; weaker models are asked in turn. A term
 * whose weight is 0 at a λ is not made there.
 * @throws RangeError without terms or when a weight is not finite.
 */
export function terms<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  list: readonly Term<C>[],
  { evaluation = 'joint' }: EvaluationOptions = {},
): Model<C> {
  checkEvaluation(evaluation);
  if (list.length === 0)
    throw new RangeError('there are no terms; give at least one, such as { against: "null", weight: 1 }.');
  for (const [i, { weight }] of list.entries()) checkWeight(weight, `terms[${i}].weight`);
  const models: Model<C>[] = [model, ...list.map(({ against }) => (weaker(against) ? against.model : model))].map(
    toModel,
  );
  models.forEach(checkWhole);
  return derive<Model<C>[], C>(models, (models) => {
    const [own, ...by] = models as [Model<C>, ...Model<C>[]];
    /** The parts of the model whose terms have these weights; one that is the number 0 is not made. */
    const parts = (weights: (i: number, lambda: Tensor1D) => number | Tensor1D): ModelParts<C> => ({
      predict(z, lambda, condition, memory) {
        conditioning.check?.(condition, z.shape[0] as number);
        const active = list.flatMap(({ against }, i) => {
          const w = weights(i, lambda);
          return w === 0 ? [] : [{ i, w: spread(w, z), against }];
        });
        const inside = active.filter(({ against }) => !weaker(against));
        const asked = inside.map(({ against, i }) => ({
          lambda,
          condition: other(against, condition, lambda, conditioning),
          memory: memoryOf(memory, i + 1),
        }));
        const parts = [{ lambda, condition, memory: memoryOf(memory, 0) }, ...asked];
        const [first, ...made] = evaluate(own, conditioning.concat, evaluation, z, parts) as [
          Predicted,
          ...Predicted[],
        ];
        const from = new Map<number, Predicted>(inside.map(({ i }, k) => [i, made[k] as Predicted]));
        for (const { i, against } of active)
          if (weaker(against)) from.set(i, (by[i] as Model<C>).predict(z, lambda, condition, memoryOf(memory, i + 1)));
        const sum = active.map(({ i, w }): [number | Tensor, Both, Both] => [w, first, from.get(i) as Predicted]);
        const kept = list.map((_, i) => from.get(i)?.memory ?? memoryOf(memory, i + 1));
        return { ...led(first, sum), variance: first.variance, memory: [first.memory, ...kept] };
      },
      cost(lambda) {
        const active = [...list.keys()].filter((i) => on(i, lambda));
        const outside = active.filter((i) => weaker((list[i] as Term<C>).against));
        const joint = costOf(own, evaluation, 1 + active.length - outside.length, lambda);
        return inTurn(joint, ...outside.map((i) => (by[i] as Model<C>).cost(lambda)));
      },
      gives: { variance: own.gives.variance },
      start: (n, shape) => models.map((each) => each.start(n, shape)),
    });
    const weightOf = (i: number) => (list[i] as Term<C>).weight;
    const on = (i: number, lambda: number) => weightAt(weightOf(i), lambda) !== 0;
    // One model for each set of terms that are on, so that one graph serves it.
    const variants = new Map<string, Model<C>>();
    return {
      ...parts((i, lambda) => weightsAt(weightOf(i), lambda)),
      at(lambda) {
        const set = list.map((_, i) => on(i, lambda));
        const made =
          variants.get(set.join()) ?? defineModel(parts((i, lambda) => (set[i] ? weightsOf(weightOf(i), lambda) : 0)));
        variants.set(set.join(), made);
        return made;
      },
    };
  });
}

const weaker = <C>(against: Term<C>['against']): against is { model: ModelLike<C> } =>
  typeof against === 'object' && 'model' in against;

function other<C>(against: Term<C>['against'], condition: C, lambda: Tensor1D, { nullCondition }: Conditioning<C>): C {
  return typeof against === 'object' && 'condition' in against
    ? against.condition(condition, lambda)
    : nullCondition(condition);
}
