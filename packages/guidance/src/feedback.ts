import {
  alphaSigma,
  type Conditioning,
  checkAbove,
  checkFinite,
  checkIncreasing,
  checkNotNegative,
  type Model,
  type ModelLike,
  perSample,
  toModel,
} from '@logsnr/core';
import {
  add,
  clipByValue,
  div,
  exp,
  expm1,
  fill,
  greater,
  mul,
  reshape,
  sub,
  type Tensor,
  type Tensor1D,
  where,
  zeros,
} from '@tensorflow/tfjs-core';
import { withNull } from './classifier-free.js';
import type { EvaluationOptions } from './evaluate.js';
import { guide } from './guide.js';
import { inner } from './norms.js';
import type { Rule } from './rule.js';
import { type WeightSchedule, weightsAt } from './weight.js';

/** How the model's own posterior is followed and turned into a weight. */
export interface FeedbackSettings {
  /** π in (0, 1): how much of the learned conditional density is the true one; the rest is the unconditional one. */
  readonly pi: number;
  /** τ, at least 0: how much a step's evidence counts. 1 is Bayes' rule. */
  readonly tau: number;
  /** δ, added to the log posterior at each step; below 0 the weight rises by itself until the evidence is there. */
  readonly delta: number;
}

export interface FeedbackOptions extends FeedbackSettings {
  /** The largest weight that the feedback gives, above 0; the paper's λ_max is 1 + maxW. 9 unless given. */
  readonly maxW?: number | undefined;
  /** A weight that is added, the paper's combinations with classifier-free guidance and, with `interval`, with that of an interval. */
  readonly w?: number | WeightSchedule | undefined;
}

/** What the feedback remembers of the last call. */
interface Followed {
  readonly [name: string]: Tensor;
  readonly logPosterior: Tensor1D;
  readonly lambda: Tensor1D;
  readonly z: Tensor;
  readonly conditional: Tensor;
  readonly unconditional: Tensor;
}

/** A λ before the first call that no call goes on from. */
const NEVER = 1e3;

/** The authors' bound of log p(c|z) from above, which keeps the weight above 0. */
const LARGEST = 3;

/**
 * Feedback guidance, FBG (Koulischer et al. 2025, arXiv 2506.06085): each sample's weight follows from how sure the model already is of its
 * condition. If the model learned π p(x|c) + (1 − π) p(x) in place of p(x|c), the true score is that of guidance with
 *
 * w(z) = (1 − π)/(p(c|z) − (1 − π)),
 *
 * and p(c|z) is followed along the walk by what each step from λ to λ' says of it:
 * log p(c|z') = log p(c|z) − τ (‖z' − μ̃(z, x̂_c)‖² − ‖z' − μ̃(z, x̂_∅)‖²)/(2 σ̃²) + δ, with the mean and variance of the posterior step,
 * which with Δ = x̂_c − x̂_∅ is log p(c|z) + τ (α'/σ'² ⟨Δ, z' − μ̃(z, x̂_∅)⟩ − ½ (1 − e^{λ−λ'}) e^{λ'} ‖Δ‖²) + δ.
 * It begins with log p = 0 and is kept where w is at most `maxW`, and below 3.
 *
 * This is the authors' code, there in EDM's z/α and σ/α, for its samplers that ask once a step; a test has its numbers. Where a call does not go on
 * to a larger λ nothing is learned from it. With τ = δ = 0 it is classifier-free guidance at w = (1 − π)/π. Always two predictions.
 * @throws RangeError on settings out of range.
 */
export function feedbackGuidance<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  { pi, tau, delta, maxW = 9, w = 0 }: FeedbackOptions,
  { evaluation = 'joint' }: EvaluationOptions = {},
): Model<C> {
  checkPi(pi);
  checkNotNegative('tau', tau);
  checkFinite('delta', delta);
  checkAbove('maxW', maxW);
  if (typeof w === 'number') checkFinite('w', w);
  const least = Math.log(((1 - pi) * (1 + maxW)) / maxW);
  const rule: Rule = {
    acts: 'x',
    combine({ conditional, unconditional, z, lambda }, memory) {
      const before = memory as Followed;
      const learned = add(mul(evidence(before, z, lambda), tau), delta);
      const onward = greater(lambda, before.lambda);
      const followed = clipByValue(add(before.logPosterior, learned), least, LARGEST);
      const logPosterior = where(onward, followed, before.logPosterior) as Tensor1D;
      const own = div(1 - pi, sub(exp(logPosterior), 1 - pi)) as Tensor1D;
      const weight = perSample(add(own, weightsAt(w, lambda)) as Tensor1D, z);
      const next: Followed = {
        logPosterior,
        lambda: lambda.clone(),
        z: z.clone(),
        conditional: conditional.clone(),
        unconditional: unconditional.clone(),
      };
      return { value: add(conditional, mul(sub(conditional, unconditional), weight)), memory: next };
    },
    start: (n, shape): Followed => ({
      logPosterior: zeros([n]),
      lambda: fill([n], NEVER),
      z: zeros([n, ...shape]),
      conditional: zeros([n, ...shape]),
      unconditional: zeros([n, ...shape]),
    }),
  };
  return guide<[Model<C>], C>([toModel(model)], ([model]) => withNull(model, conditioning, evaluation), 1, rule);
}

/** log of p(z'|z, c)/p(z'|z) of the posterior step, [n]; no number before the first call. */
function evidence({ z, lambda, conditional, unconditional }: Followed, next: Tensor, to: Tensor1D): Tensor1D {
  const [from, at] = [alphaSigma(lambda), alphaSigma(to)];
  const share = mul(expm1(sub(lambda, to)), -1) as Tensor1D;
  const kept = mul(sub(1, share), div(at.alpha, from.alpha)) as Tensor1D;
  const mean = add(mul(z, perSample(kept, z)), mul(unconditional, perSample(mul(share, at.alpha) as Tensor1D, z)));
  const apart = sub(conditional, unconditional);
  const towards = mul(div(at.alpha, mul(at.sigma, at.sigma)), flat(inner(apart, sub(next, mean))));
  const spread = mul(mul(share, exp(to)), flat(inner(apart, apart)));
  return sub(towards, mul(spread, 0.5)) as Tensor1D;
}

const flat = (values: Tensor): Tensor => reshape(values, [-1]);

/**
 * τ and δ of {@link feedbackGuidance} from two times of a walk in [0, 1), counted by steps from the data, as the authors set them: without
 * evidence the weight reaches 2 at t_0, and at t_1 a difference of 10 between the squared distances makes up for δ. The code has, with N points,
 * δ = ln(3 (1 − π)/2)/((1 − t_0) N) and τ = |2 σ̃²(t_1) δ|/10, with the variance of the posterior step that ends t_1 N steps before the data in
 * units of x, σ̃² = e^{−λ'} (1 − e^{λ−λ'}), between two steps on the line through them.
 * @throws RangeError when the grid does not increase, or π, t_0 or t_1 are out of range.
 */
export function feedbackSettings(
  lambdas: readonly number[],
  { pi, t0, t1 }: { pi: number; t0: number; t1: number },
): FeedbackSettings {
  checkIncreasing(lambdas);
  checkPi(pi);
  const count = lambdas.length;
  for (const [name, t] of Object.entries({ t0, t1 }))
    if (!(t >= 0 && t * count <= count - 1))
      throw new RangeError(
        `${name} is ${t}; on a grid of ${count} points it must be between 0 and ${(count - 1) / count}.`,
      );
  const delta = Math.log(((1 - pi) * 3) / 2) / ((1 - t0) * count);
  /** The variance of the step that has k steps after it. */
  const variance = (k: number): number => {
    const [from, to] = [lambdas[count - 1 - k], lambdas[count - k]];
    return from === undefined || to === undefined ? 0 : -Math.expm1(from - to) * Math.exp(-to);
  };
  const [low, share] = [Math.floor(t1 * count), t1 * count - Math.floor(t1 * count)];
  const at = (1 - share) * variance(low) + (share === 0 ? 0 : share * variance(low + 1));
  return { pi, delta, tau: Math.abs((2 * at * delta) / 10) };
}

function checkPi(pi: number): void {
  if (!(pi > 0 && pi < 1)) throw new RangeError(`pi is ${pi}; it must be above 0 and below 1.`);
}
