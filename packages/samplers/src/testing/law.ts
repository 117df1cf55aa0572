import type { Step } from '../walk.js';
import { bellEps } from './closed-forms.js';
import { drawsOf, type NumbersRun, steps64 } from './runs.js';

/** Mean and variance of z after a step. */
export interface Law extends Pick<Step, 'step' | 'lambda'> {
  mean: number;
  variance: number;
}

/**
 * The laws of z along a walk on the Gaussian, from N(`mean`, `std`²). No sampling: with ε linear in z, the coefficients of 1,
 * of z_1 and of every noise drawn are carried along, and they give mean and variance.
 */
export function* lawSteps(
  run: Pick<NumbersRun, 'sampler' | 'lambdas' | 'end'>,
  mean: number,
  std: number,
): Generator<Law, void> {
  const z = new Float64Array(2 + drawsOf({ ...run, eps: bellEps, z: new Float64Array(2) }));
  z.set([mean, std]);
  let next = 2;
  // A unit vector, another one for each draw.
  const noise = () => new Float64Array(z.length).fill(1, next, ++next);
  for (const { step, lambda, z: at } of steps64({ ...run, eps: bellEps, z, noise }))
    yield { step, lambda, mean: at[0] as number, variance: at.subarray(1).reduce((sum, each) => sum + each ** 2, 0) };
}
