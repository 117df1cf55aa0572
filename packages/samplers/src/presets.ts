import { checkChoice, type Value } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { ancestral, ddim } from './ancestral.js';
import { ancestralOf } from './ancestral-of.js';
import { dpmSolver2 } from './dpm-solver.js';
import { dpmSolverPP2S } from './dpm-solver-pp.js';
import { type ChurnOptions, churn } from './edm-stochastic.js';
import { heun } from './heun.js';
import type { Sampler } from './sampler.js';

/**
 * DDPM (Ho et al. 2020, arXiv 2006.11239, section 3.2), which is ancestral sampling at an end of its range: `small` is the
 * posterior's variance (v = 0), `large` that of the forward step, β (v = 1).
 */
export function ddpm<V extends Value = Tensor>({
  variance = 'small',
}: {
  variance?: 'small' | 'large';
} = {}): Sampler<null, V> {
  checkChoice('variance', variance, ['small', 'large']);
  return { ...ancestral<V>({ v: variance === 'small' ? 0 : 1 }), name: `ddpm(${variance})` };
}

/** Euler's method on dy/ds = ε with y = z/α, s = σ/α (Karras et al. 2022, arXiv 2206.00364), which is DDIM with η = 0. */
export const euler = <V extends Value = Tensor>(): Sampler<null, V> => ({ ...ddim<V>(), name: 'euler' });

/** k-diffusion's Euler ancestral, which is DDIM with η = 1 and ancestral sampling with v = 0. */
export const eulerAncestral = <V extends Value = Tensor>(): Sampler<null, V> => ({
  ...ddim<V>({ eta: 1 }),
  name: 'eulerAncestral',
});

/** k-diffusion's DPM-Solver-2 ancestral: DPM-Solver-2 to a smaller noise, then noise to λ'. */
export const dpmSolver2Ancestral = <V extends Value = Tensor>({ eta = 1 }: { eta?: number } = {}): Sampler<null, V> =>
  ancestralOf(dpmSolver2<V>(), { eta });

/** k-diffusion's DPM-Solver++(2S) ancestral: DPM-Solver++(2S) to a smaller noise, then noise to λ'. */
export const dpmSolverPP2SAncestral = <V extends Value = Tensor>({
  eta = 1,
}: {
  eta?: number;
} = {}): Sampler<null, V> => ancestralOf(dpmSolverPP2S<V>(), { eta });

/**
 * EDM's stochastic sampler: Heun with churn (Karras et al. 2022, arXiv 2206.00364, Algorithm 2). The settings are the
 * paper's for ImageNet 64×64, but for `noise`: it is 1 here and 1.003 there. More than 1 makes up for what a trained model
 * removes too much; with an exact model it is an error of its own.
 */
export const edmStochastic = <V extends Value = Tensor>(options: ChurnOptions = {}): Sampler<null, V> => ({
  ...churn(heun<V>(), { churn: 40, sMin: 0.05, sMax: 50, ...options }),
  name: 'edmStochastic',
});
