import { checkWithin, derive, type Model, type ModelLike, memoryOf, perSample, toModel } from '@logsnr/core';
import { add, cast, fill, mul, sub, type Tensor, type Tensor1D, where, zeros } from '@tensorflow/tfjs-core';
import { checkWhole, variants } from './guide.js';
import { applyRule, type Rule } from './rule.js';
import { checkWeight, spread, type Weight } from './weight.js';

/** The running average of the velocity, and whether there is one. */
interface Average {
  readonly [name: string]: Tensor;
  readonly mean: Tensor;
  readonly known: Tensor1D;
}

/**
 * Momentum guidance (Liao et al. 2026, arXiv 2602.20360, eq. 11 and 12): away from what the walk has been doing so far, without a
 * second prediction. Of the velocity of flow matching u = ε̂ − x̂ and its running average m, at first u,
 *
 * ũ = u + w (u − m), then m ← (1 − β) u + β m; their α is w.
 *
 * Around a guided model it is their combination with classifier-free guidance: u is then the guided velocity. With w = 1/2 and β = 0 it makes
 * DDIM on a grid of even steps in t = σ/(α + σ) the Adams–Bashforth method of order 2. m follows the calls at which w(λ) is not 0, so
 * for a sampler that asks once a step.
 * @param beta β in [0, 1): how much of the average is kept at each call. Peers take 0.6 with w = 0.5.
 * @throws RangeError when w is not finite or β is out of range.
 */
export function momentumGuidance<C>(
  model: ModelLike<C>,
  w: Weight,
  { beta = 0.6 }: { beta?: number | undefined } = {},
): Model<C> {
  checkWithin('beta', beta, 0, 1);
  if (beta === 1) throw new RangeError('beta is 1; it must be below 1, or the average would never change.');
  const rule: Rule = {
    acts: 'flow',
    combine({ conditional: velocity, w }, memory) {
      const { mean: kept, known } = memory as Average;
      const mean = where(cast(perSample(known, velocity), 'bool'), kept, velocity);
      const next: Average = { mean: add(velocity, mul(sub(mean, velocity), beta)), known: fill(known.shape, 1) };
      return { value: add(velocity, mul(sub(velocity, mean), w)), memory: next };
    },
    start: (n, shape): Average => ({ mean: zeros([n, ...shape]), known: zeros([n]) }),
  };
  checkWeight(w);
  const inner = toModel(model);
  checkWhole(inner);
  return derive<[Model<C>], C>([inner], ([model]) =>
    variants(
      (weights) => ({
        predict(z, lambda, condition, memory) {
          const [own, kept] = [memoryOf(memory, 0), memoryOf(memory, 1)];
          const weight = weights(lambda);
          const made = model.predict(z, lambda, condition, own);
          if (weight === 0) return { ...made, memory: [made.memory, kept] };
          const { x, eps, memory: next } = applyRule(rule, made, made, { w: spread(weight, z), z, lambda }, kept);
          return { x, eps, variance: made.variance, memory: [made.memory, next] };
        },
        cost: model.cost,
        gives: { variance: model.gives.variance },
        start: (n, shape) => [model.start(n, shape), rule.start?.(n, shape) ?? null],
      }),
      w,
    ),
  );
}
