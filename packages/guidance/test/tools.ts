import { epsOf, gaussianMixture, labels, type Model, type ModelLike, readModel, toModel } from '@logsnr/core';
import { type Tensor, type Tensor1D, tensor, tensor1d, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { combineEps, extrapolate, type RuleLike, toRule } from '../src/rule.js';

/** Three Gaussians in the plane with their exact ε, and three points at three noise levels. */
export const mixture = gaussianMixture([
  { mean: [-1, 0], std: 0.4 },
  { mean: [1, 0.5], std: 0.3 },
  { mean: [0.5, -1], std: 0.5, weight: 2 },
]);
export const classes = labels(3);
export const points = [
  [0.2, 0.1],
  [-1.5, 0.6],
  [0.8, -0.9],
];
export const lambdas = [-2, 0, 3];
export const z = tensor2d(points);
export const lambda = tensor1d(lambdas);
export const c = classes.of([0, 1, 2]);

export const valuesOf = (x: Tensor): number[] => [...x.dataSync()];
export const values = (model: ModelLike<Tensor1D>): number[] => valuesOf(epsOf(model)(z, lambda, c));

/** Counts its calls and the samples that it saw. */
export function counted<C>(like: ModelLike<C>): { count: { calls: number; samples: number }; wrapped: Model<C> } {
  const count = { calls: 0, samples: 0 };
  const eps = epsOf(toModel(like));
  const wrapped = readModel<C>((z, lambda, condition) => {
    count.calls++;
    count.samples += z.shape[0] as number;
    return eps(z, lambda, condition);
  });
  return { count, wrapped };
}

/** What a rule makes of two predictions written by hand, at z = 0 and λ = 0 unless given. */
export function apply(
  rule: RuleLike,
  conditional: readonly number[],
  unconditional: readonly number[],
  { w = 1, z = conditional.map(() => 0), lambda = 0 }: { w?: number; z?: readonly number[]; lambda?: number } = {},
): number[] {
  const row = (values: readonly number[]) => tensor([...values], [1, values.length]);
  return tidy(() => {
    const predictions = { conditional: row(conditional), unconditional: row(unconditional), w, z: row(z) };
    const of = toRule(rule);
    const memory = of.start?.(1, [conditional.length]) ?? null;
    return valuesOf(combineEps(of, { ...predictions, lambda: tensor1d([lambda]) }, memory).value);
  });
}

export const plain = extrapolate;
