import { alpha, epsOf, sigma } from '@logsnr/core';
import { discrete, linearBetas } from '@logsnr/schedules';
import { backendInfo, compile } from '@logsnr/tensorflow';
import { concat, mul, reshape, type Tensor, type Tensor1D, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { discreteModel } from './discrete-model.js';

const ddpm = discrete(linearBetas());

describe('discreteModel', () => {
  /** What a network sees is kept for the test; its output is 0.1 (t + 1) z. */
  const seeing = (seen: number[]) => (z: Tensor, t: Tensor1D) => {
    seen.push(...t.dataSync());
    return mul(z, 0.1);
  };
  const z = tensor2d([[1], [2], [3], [4], [5]]);
  const times = [0, 1, 500, 998, 999];
  const lambda = tensor1d(times.map((t) => ddpm.lambdas[t] as number));

  test('gives the model its own times, exactly at those of the table', () => {
    const seen: number[] = [];
    discreteModel(seeing(seen), ddpm).predict(z, lambda, null, null);
    expect(seen).toEqual(times);
  });

  test('between and beyond them, as timeOf does', () => {
    const [seen, whole]: number[][] = [[], []];
    const between = [0.25, 17.6, 640.1, 998.9].map((t) => ddpm.lambdaOf(t));
    const all = tensor1d([...between, 30, -30]);
    const zs = tensor2d([1, 2, 3, 4, 5, 6], [6, 1]);
    discreteModel(seeing(seen as number[]), ddpm).predict(zs, all, null, null);
    [0.25, 17.6, 640.1, 998.9, 0, 999].forEach((t, i) => {
      expect(Math.abs(((seen as number[])[i] as number) - t)).toBeLessThan(2e-3);
    });
    discreteModel(seeing(whole as number[]), ddpm, { round: true }).predict(zs, all, null, null);
    expect(whole).toEqual([0, 18, 640, 999, 0, 999]);
  });

  test.each(['eps', 'x', 'v'] as const)('reads its output as %s', (prediction) => {
    // One point x with noise ε, of which the model knows what it predicts.
    const [x, eps] = [0.7, -1.3];
    const value = (l: number) => ({ eps, x, v: alpha(l) * eps - sigma(l) * x })[prediction];
    const lambdas = [...lambda.dataSync()];
    const points = tensor2d(lambdas.map((l) => [alpha(l) * x + sigma(l) * eps]));
    const model = discreteModel<null>(() => tensor2d(lambdas.map((l) => [value(l)])), ddpm, { prediction });
    const found = model.predict(points, lambda, null, null);
    for (const value of found.eps.dataSync()) expect(value).toBeCloseTo(eps, 4);
    if (prediction !== 'eps') for (const value of found.x.dataSync()) expect(value).toBeCloseTo(x, 4);
  });

  test.runIf(backendInfo()?.backend === 'tensorflow')('can be compiled', () => {
    const model = epsOf(discreteModel<null>((z, t) => mul(z, reshape(t, [-1, 1])), ddpm));
    const points = tensor2d([3, -2, 1, 0.5, 4, 2, 0, 1, 2, -3, 5, 0.1, 7, 1, -1], [5, 3]);
    const compiled = compile((z: Tensor, lambda: Tensor1D) => model(z, lambda, null));
    for (const shift of [0, 0.3]) {
      const moved = tensor1d([...lambda.dataSync()].map((l) => l - shift));
      const expected = model(points, moved, null).dataSync();
      compiled(points, moved)
        .dataSync()
        .forEach((value: number, i: number) => {
          expect(value).toBeCloseTo(expected[i] as number, 4);
        });
    }
    compiled.dispose();
  });

  test('leaks nothing, and refuses what it cannot do', () => {
    const model = discreteModel((z) => mul(z, 2), ddpm, { prediction: 'v', round: true });
    expectNoLeak(() => Object.values(model.predict(z, lambda, null, null)).filter((part) => part !== null));
    expect(() => discreteModel((z) => z, ddpm, { prediction: 'noise' as 'v' })).toThrow(/prediction is "noise"/);
    const same = { ...ddpm, lambdas: [1, 1 - 1e-12] };
    expect(() => discreteModel((z) => z, same)).toThrow(/the same λ in float32/);
  });

  test('a learned variance is the second half of the channels, from [−1, 1] to [0, 1]', () => {
    const range = tensor2d([[-1], [-0.5], [0], [0.5], [1]]);
    const model = discreteModel<null>((z) => concat([mul(z, 2), range], 1), ddpm, { variance: 'range' });
    expect(model.gives).toEqual({ renoise: false, variance: true });
    const { eps, variance } = model.predict(z, lambda, null, null);
    expect([...eps.dataSync()]).toEqual([2, 4, 6, 8, 10]);
    expect([...(variance as Tensor).dataSync()]).toEqual([0, 0.25, 0.5, 0.75, 1]);
    const half = discreteModel<null>((z) => z, ddpm, { variance: 'range' });
    expect(() => half.predict(z, lambda, null, null)).toThrow(
      /learned variance, has shape \[5, 1\]; it must be \[5, 2\]/,
    );
  });
});
