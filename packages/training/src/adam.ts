import { checkAbove, checkInteger, checkKnown, checkNotNegative, checkWithin, scoped } from '@logsnr/core';
import { mul, type Scalar, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { adamStep } from './adam-step.js';
import { clipByGlobalNorm } from './clip.js';
import { type LearningRate, rateAt, warmUp } from './learning-rate.js';
import type { Optimizer, ParameterGroup } from './optimizer.js';

export interface AdamOptions {
  /** The step's size; see `cosineDecay` for one that falls over the run. */
  readonly learningRate: LearningRate;
  /** Decay of the mean of gradients, in [0, 1). 0.9 unless given. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients, in [0, 1). 0.999 unless given. */
  readonly beta2?: number;
  /** Added to the root of the second moment. 1e-8 unless given. */
  readonly epsilon?: number;
  /** Decoupled decay of all weights: AdamW. 0 unless given. */
  readonly weightDecay?: number;
  /** Scale gradients to this global norm at most. Not clipped unless given. */
  readonly clipNorm?: number;
  /** Steps over which the rate rises linearly to `learningRate`: (step + 1)/warmup. 0 unless given. */
  readonly warmup?: number;
  /** Parameters with a decay or a rate of their own, or frozen; the first group that matches counts. None unless given. */
  readonly groups?: readonly ParameterGroup[];
}

/**
 * Adam (Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1) with decoupled weight decay (Loshchilov & Hutter 2019, arXiv
 * 1711.05101, Algorithm 2). With gradient g and t = step + 1:
 * m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ),
 * θ ← (1 − η·weightDecay) θ − η m̂/(√v̂ + ε).
 *
 * The corrections are folded into two scalars, as at the end of section 2 of the paper:
 * η m̂/(√v̂ + ε) = rate · m/(√v + ε') with rate = η √(1 − β₂ᵗ)/(1 − β₁ᵗ) and ε' = ε √(1 − β₂ᵗ).
 * @throws RangeError on an option out of its range, and on an unknown one.
 */
export function adam(options: AdamOptions): Optimizer {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const { weightDecay = 0, clipNorm, warmup = 0, groups = [] } = options;
  const settings = { learningRate, beta1, beta2, epsilon, weightDecay, clipNorm, warmup, groups };
  checkKnown('adam', options, Object.keys(settings));
  check(settings);
  const each = [...groups, {}].map((own) => ({ weightDecay, rate: 1, ...own })); // the last of those in no group
  const decays = each.some((own) => own.weightDecay > 0);
  return {
    groups,
    init: (weights) => scoped(() => ({ m: weights.map((p) => zerosLike(p)), v: weights.map((p) => zerosLike(p)) })),
    numbers(step, progress = 0) {
      checkInteger('step', step);
      checkWithin('progress', progress, 0, 1);
      const eta = rateAt(warmup > 0 ? warmUp(learningRate, warmup) : learningRate, step, progress);
      const root = Math.sqrt(oneMinusPower(beta2, step + 1));
      const keep = each.map((own) => 1 - eta * own.rate * own.weightDecay);
      return {
        rate: (eta * root) / oneMinusPower(beta1, step + 1),
        epsilon: epsilon * root,
        ...(decays ? { keep } : {}),
      };
    },
    update(weights, state, scalars) {
      const { rate, epsilon, keep } = scalars as { rate?: Scalar; epsilon?: Scalar; keep?: readonly Scalar[] };
      if (!rate || !epsilon || (decays && !keep))
        throw new RangeError('scalars lacks rate, epsilon or keep; enter what `numbers(step)` returns.');
      return scoped(() => {
        const gradients = weights.map(({ gradient }) => gradient);
        const used = clipNorm === undefined ? gradients : clipByGlobalNorm(gradients, clipNorm);
        const made = weights.map(({ value: p, group }, i): readonly [Tensor, Tensor, Tensor] => {
          const [m, v] = [state.m?.[i], state.v?.[i]];
          if (!m || !v) throw new RangeError(`the state has no m and v for vector ${i}; it is not this optimizer's.`);
          const g = used[i];
          if (!g) return [p.clone(), m.clone(), v.clone()];
          const own = each[group] as (typeof each)[number];
          const numbers = {
            rate: own.rate === 1 ? rate : mul(rate, own.rate),
            epsilon,
            keep: own.weightDecay > 0 ? keep?.[group] : undefined,
          };
          return adamStep({ p, g, m, v }, numbers, { beta1, beta2 });
        });
        const slot = (at: 0 | 1 | 2) => made.map((vectors) => vectors[at]);
        return { weights: slot(0), state: { m: slot(1), v: slot(2) } };
      });
    },
  };
}

/** Gains and biases: parameters of fewer than two axes. */
const vectors: ParameterGroup = { match: (_, shape) => shape.length < 2, weightDecay: 0 };

/**
 * AdamW: `adam` with a decay of the weights beside the gradient's step, θ ← (1 − η·weightDecay) θ − … (Loshchilov &
 * Hutter 2019, arXiv 1711.05101, Algorithm 2), 0.01 unless given. η is the rate of the step, schedule and warm-up
 * included. Gains and biases (parameters of fewer than two axes) do not decay, unless `groups` says otherwise.
 */
export const adamW = (options: AdamOptions): Optimizer =>
  adam({ weightDecay: 0.01, ...options, groups: [...(options.groups ?? []), vectors] });

/** 1 − βᵗ, without cancellation. */
const oneMinusPower = (beta: number, t: number): number => -Math.expm1(t * Math.log(beta));

type Settings = Required<Omit<AdamOptions, 'clipNorm'>> & { readonly clipNorm: number | undefined };

function check({ learningRate, beta1, beta2, epsilon, weightDecay, clipNorm, warmup, groups }: Settings): void {
  if (typeof learningRate !== 'function') checkNotNegative('learningRate', learningRate);
  for (const [what, beta] of Object.entries({ beta1, beta2 }))
    if (!(beta >= 0 && beta < 1)) throw new RangeError(`${what} is ${beta}; it must lie in [0, 1).`);
  checkAbove('epsilon', epsilon);
  checkNotNegative('weightDecay', weightDecay);
  if (clipNorm !== undefined && !(clipNorm > 0 && Number.isFinite(clipNorm)))
    throw new RangeError(`clipNorm is ${clipNorm}; it must be finite and above 0. Leave it out for no clipping.`);
  checkInteger('warmup', warmup);
  for (const [i, { weightDecay = 0, rate = 1 }] of groups.entries())
    for (const [what, value] of Object.entries({ weightDecay, rate })) checkNotNegative(`${what} of group ${i}`, value);
}
