import { checkInteger, checkWithin, type Parameters } from '@logsnr/core';
import { type Tensor, tidy, zerosLike } from '@tensorflow/tfjs-core';
import { adamStep } from './adam-step.js';
import { clipByGlobalNorm } from './clip.js';
import { type LearningRate, rateAt } from './learning-rate.js';
import type { Optimizer } from './optimizer.js';

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
  const { learningRate, beta1, beta2, epsilon, weightDecay, clipNorm, warmup } = checked(options);
  return {
    init: (parameters) =>
      tidy(() => {
        const zeros = (slot: string) =>
          Object.entries(parameters).map(([name, p]): [string, Tensor] => [`${slot}.${name}`, zerosLike(p)]);
        return Object.fromEntries([...zeros('m'), ...zeros('v')]);
      }),
    scalars(step, progress = 0) {
      checkInteger('step', step);
      checkWithin('progress', progress, 0, 1);
      const eta = rateAt(learningRate, step, progress) * (warmup > 0 ? Math.min(1, (step + 1) / warmup) : 1);
      const root = Math.sqrt(oneMinusPower(beta2, step + 1));
      return {
        rate: (eta * root) / oneMinusPower(beta1, step + 1),
        epsilon: epsilon * root,
        ...(weightDecay > 0 ? { keep: 1 - eta * weightDecay } : {}),
      };
    },
    update(parameters, gradients, state, scalars) {
      const scalar = (name: string) => named(scalars, name, 'scalars');
      return tidy(() => {
        const used = clipNorm === undefined ? gradients : clipByGlobalNorm(gradients, clipNorm);
        const next: { parameters: Record<string, Tensor>; state: Record<string, Tensor> } = {
          parameters: {},
          state: {},
        };
        const numbers = {
          rate: scalar('rate'),
          epsilon: scalar('epsilon'),
          keep: weightDecay > 0 ? scalar('keep') : undefined,
        };
        for (const [name, p] of Object.entries(parameters)) {
          const g = named(used, name, 'gradients');
          const old = { p, g, m: named(state, `m.${name}`, 'state'), v: named(state, `v.${name}`, 'state') };
          const [changed, m, v] = adamStep(old, numbers, { beta1, beta2 });
          next.parameters[name] = changed;
          next.state[`m.${name}`] = m;
          next.state[`v.${name}`] = v;
        }
        return next;
      });
    },
  };
}

/**
 * AdamW: `adam` with a decay of the weights beside the gradient's step, θ ← (1 − η·weightDecay) θ − … (Loshchilov &
 * Hutter 2019, arXiv 1711.05101, Algorithm 2), 0.01 unless given. η is the rate of the step, schedule and warm-up
 * included.
 */
export const adamW = (options: AdamOptions): Optimizer => adam({ weightDecay: 0.01, ...options });

/** 1 − βᵗ, without cancellation. */
const oneMinusPower = (beta: number, t: number): number => -Math.expm1(t * Math.log(beta));

function named(record: Parameters, name: string, what: string): Tensor {
  const found = record[name];
  if (!found) throw new RangeError(`${what} has no "${name}"; it has ${Object.keys(record).join(', ') || 'nothing'}.`);
  return found;
}

type Checked = Required<Omit<AdamOptions, 'clipNorm'>> & Pick<AdamOptions, 'clipNorm'>;

function checked(options: AdamOptions): Checked {
  const {
    learningRate,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0,
    clipNorm,
    warmup = 0,
    ...rest
  } = options;
  const unknown = Object.keys(rest);
  if (unknown.length > 0)
    throw new RangeError(
      `adam does not know the option "${unknown.join('", "')}"; it takes learningRate, beta1, beta2, epsilon, weightDecay, clipNorm and warmup.`,
    );
  if (typeof learningRate !== 'function') checkWithin('learningRate', learningRate, 0, Number.MAX_VALUE);
  for (const [what, beta] of [
    ['beta1', beta1],
    ['beta2', beta2],
  ] as const)
    if (!(beta >= 0 && beta < 1)) throw new RangeError(`${what} is ${beta}; it must lie in [0, 1).`);
  if (!(epsilon > 0 && Number.isFinite(epsilon)))
    throw new RangeError(`epsilon is ${epsilon}; it must be finite and above 0.`);
  checkWithin('weightDecay', weightDecay, 0, Number.MAX_VALUE);
  if (clipNorm !== undefined && !(clipNorm > 0 && Number.isFinite(clipNorm)))
    throw new RangeError(`clipNorm is ${clipNorm}; it must be finite and above 0. Leave it out for no clipping.`);
  checkInteger('warmup', warmup);
  return { learningRate, beta1, beta2, epsilon, weightDecay, warmup, ...(clipNorm === undefined ? {} : { clipNorm }) };
}
