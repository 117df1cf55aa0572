import { alpha, type EpsFunction, epsOf, sigma, toModel } from '@logsnr/core';
import { add, fill, mul, type Tensor, type Tensor1D, tensor1d, tensor2d, tidy, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, valuesOf, z } from '../test/tools.js';
import { classifierFree, interval, momentumGuidance } from './index.js';

describe('momentum guidance (2602.20360)', () => {
  // u = ε − x is λ at z = 0, where x = −(σ/α) ε.
  const velocity: EpsFunction<null> = (z, lambda) =>
    tidy(() => {
      const of = (level: number) => (alpha(level) * level) / (alpha(level) + sigma(level));
      return add(mul(z, 0), of(lambda.dataSync()[0] as number));
    });

  test('by hand: ũ = u + w (u − m), m ← (1 − β) u + β m, at first u', () => {
    const model = momentumGuidance(velocity, 0.5, { beta: 0.25 });
    tidy(() => {
      let memory = model.start(1, [1]);
      // m is 1, then 0.75 · 3 + 0.25 · 1 = 2.5.
      const got = [1, 3, 2].map((level) => {
        const made = model.predict(zeros([1, 1]), tensor1d([level]), null, memory);
        memory = made.memory;
        const whole = alpha(level) * (valuesOf(made.x)[0] as number) + sigma(level) * (valuesOf(made.eps)[0] as number);
        expect(whole).toBeCloseTo(0, 6);
        return (valuesOf(made.eps)[0] as number) - (valuesOf(made.x)[0] as number);
      });
      [1, 3 + 0.5 * (3 - 1), 2 + 0.5 * (2 - 2.5)].forEach((value, i) => {
        expect(got[i]).toBeCloseTo(value, 5);
      });
    });
  });

  test('with w = 1/2 and β = 0 DDIM on even steps of t is Adams–Bashforth of order 2', () => {
    const model = momentumGuidance(mixture.model, 0.5, { beta: 0 });
    const plain = toModel(mixture.model);
    // t = σ/(α + σ), so σ/α = t/(1 − t).
    const times = Array.from({ length: 9 }, (_, i) => 0.9 - 0.1 * i);
    const levels = times.map((t) => -2 * Math.log(t / (1 - t)));
    const scale = (level: number) => alpha(level) + sigma(level);
    const all = (level: number) => fill([3], level) as Tensor1D;
    tidy(() => {
      const begin = tensor2d(valuesOf(z), [3, 2]);
      let at: Tensor = begin;
      let memory = model.start(3, [2]);
      let y = valuesOf(begin).map((value) => value / scale(levels[0] as number));
      let before: number[] | undefined;
      levels.slice(0, -1).forEach((level, i) => {
        const made = model.predict(at, all(level), c, memory);
        memory = made.memory;
        const next = levels[i + 1] as number;
        at = add(mul(made.x, alpha(next)), mul(made.eps, sigma(next)));
        const here = tensor2d(
          y.map((value) => value * scale(level)),
          [3, 2],
        );
        const own = plain.predict(here, all(level), c, null);
        const x = valuesOf(own.x);
        const u = valuesOf(own.eps).map((value, k) => value - (x[k] as number));
        const old = before ?? u;
        y = y.map((value, k) => value - 0.1 * (1.5 * (u[k] as number) - 0.5 * (old[k] as number)));
        before = u;
      });
      valuesOf(at).forEach((value, k) => {
        expect(value).toBeCloseTo((y[k] as number) * scale(levels.at(-1) as number), 4);
      });
    });
  });

  test('costs what its model costs; where w is 0 it is the model bit for bit and its average stays', () => {
    const { count, wrapped } = counted(mixture.model);
    const model = momentumGuidance(classifierFree(wrapped, classes, 1), interval(2, { lambda: [-1, 9] }));
    const guided = values(classifierFree(mixture.model, classes, 1));
    const once = model.predict(z, lambda, c, model.start(3, [2]));
    expect(count).toEqual({ calls: 1, samples: 6 });
    expect(model.cost(0)).toEqual(classifierFree(wrapped, classes, 1).cost(0));
    // λ is −2, 0 and 3: the first sample is outside; the others have no past yet.
    expect(valuesOf(once.eps)).toEqual(guided);
    const off = model.at(-2).predict(z, lambda, c, once.memory);
    expect(valuesOf(off.eps)).toEqual(guided);
    const [, kept] = once.memory as unknown as [unknown, { mean: Tensor }];
    const [, after] = off.memory as unknown as [unknown, { mean: Tensor }];
    expect(valuesOf(after.mean)).toEqual(valuesOf(kept.mean));
    expectNoLeak(() => epsOf(model)(z, lambda, c));
  });

  test('refuses what it cannot use', () => {
    expect(() => momentumGuidance(mixture.model, Number.NaN)).toThrow('w is NaN');
    expect(() => momentumGuidance(mixture.model, 1, { beta: 1 })).toThrow('beta is 1; it must be below 1');
    expect(() => momentumGuidance(mixture.model, 1, { beta: -0.1 })).toThrow('beta is -0.1');
  });
});
