import { type EpsFunction, epsOf, key } from '@logsnr/core';
import { compile } from '@logsnr/tensorflow';
import {
  add,
  concat,
  fill,
  mul,
  slice,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, lambda, mixture, values, valuesOf, z } from '../test/tools.js';
import {
  cads,
  classifierFree,
  independentCondition,
  noiseAt,
  type Seeded,
  seeded,
  seededConditioning,
  timeStepGuidance,
  uniformLabels,
} from './index.js';

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const at = (level: number, n: number) => fill([n], level) as Tensor1D;

describe('noiseAt', () => {
  const { noise } = seeded(null, key(1), 20_000);
  test('is N(0, 1) at each λ, and another at the next', () => {
    const [a, b] = [valuesOf(noiseAt(noise, at(-3.2, 20_000))), valuesOf(noiseAt(noise, at(-2.7, 20_000)))];
    for (const draw of [a, b]) {
      expect(Math.abs(mean(draw))).toBeLessThan(0.028); // four standard errors
      expect(Math.abs(mean(draw.map((v) => v * v)) - 1)).toBeLessThan(0.04);
      expect(Math.abs(mean(draw.map((v) => v ** 4)) - 3)).toBeLessThan(0.3);
    }
    expect(Math.abs(mean(a.map((v, i) => v * (b[i] as number))))).toBeLessThan(0.35);
  });
  test('of a sample depends on the key, its number and λ alone', () => {
    const whole = seeded(null, key(4), 5, [3]).noise;
    const parts = concat([seeded(null, key(4), 2, [3]).noise, seeded(null, key(4), 3, [3], 2).noise]);
    expect(valuesOf(parts)).toEqual(valuesOf(whole));
    const one = noiseAt(slice(whole, [3], [1]), tensor1d([1.5]));
    expect(valuesOf(one)).toEqual(valuesOf(noiseAt(whole, at(1.5, 5))).slice(9, 12));
    expectNoLeak(() => tidy(() => noiseAt(whole, at(1.5, 5))));
  });
});

describe('independent-condition guidance (2407.02687)', () => {
  const model = independentCondition(mixture.model, classes, uniformLabels, 2);
  const condition = seeded(c, key(2), 3, [3]);

  test('leads away from the prediction for a random label', () => {
    const random = tidy(() => uniformLabels(noiseAt(condition.noise, lambda)));
    const [own, other] = [values(mixture.model), valuesOf(epsOf(mixture.model)(z, lambda, random))];
    for (const evaluation of ['joint', 'split'] as const) {
      const got = independentCondition(mixture.model, classes, uniformLabels, 2, { evaluation });
      valuesOf(epsOf(got)(z, lambda, condition)).forEach((value, i) => {
        expect(value).toBeCloseTo(3 * (own[i] as number) - 2 * (other[i] as number), 4);
      });
    }
  });
  test('labels are uniform', () => {
    const labels = uniformLabels(noiseAt(seeded(null, key(3), 9000, [3]).noise, at(0.7, 9000)));
    for (const label of [0, 1, 2]) {
      const share = valuesOf(labels).filter((value) => value === label).length;
      expect(Math.abs(share - 3000)).toBeLessThan(4 * Math.sqrt(2000));
    }
  });
  test('w = 0 is the model bit for bit; it compiles and leaks nothing', () => {
    const off = independentCondition(mixture.model, classes, uniformLabels, 0);
    expect(valuesOf(epsOf(off)(z, lambda, condition))).toEqual(values(mixture.model));
    const compiled = compile(epsOf(model));
    const eager = valuesOf(epsOf(model)(z, lambda, condition));
    valuesOf(compiled(z, lambda, condition)).forEach((value, i) => {
      expect(value).toBeCloseTo(eager[i] as number, 4);
    });
    compiled.dispose();
    expectNoLeak(() => epsOf(model)(z, lambda, condition));
  });
});

test('time-step guidance leads away from the prediction at a perturbed λ', () => {
  const condition = seeded(c, key(2), 3);
  const perturbed = tidy(() => add(lambda, mul(noiseAt(condition.noise, lambda), 0.5)) as Tensor1D);
  const [own, other] = [values(mixture.model), valuesOf(epsOf(mixture.model)(z, perturbed, c))];
  const model = timeStepGuidance(mixture.model, classes, 0.5, 2);
  valuesOf(epsOf(model)(z, lambda, condition)).forEach((value, i) => {
    expect(value).toBeCloseTo(3 * (own[i] as number) - 2 * (other[i] as number), 4);
  });
  const same = valuesOf(epsOf(timeStepGuidance(mixture.model, classes, 0, 2))(z, lambda, condition));
  same.forEach((value, i) => {
    expect(value).toBeCloseTo(own[i] as number, 5);
  });
  expect(valuesOf(epsOf(timeStepGuidance(mixture.model, classes, 0.5, 0))(z, lambda, condition))).toEqual(own);
  expectNoLeak(() => epsOf(model)(z, lambda, condition));
});

describe('CADS (2310.17347)', () => {
  // A model that shows the condition that it was given.
  const show: EpsFunction<Tensor2D> = (_, __, condition) => tidy(() => mul(condition, 1));
  const embedding = tensor2d([[1, -1, 3, 0.5]]);
  const condition = seeded(embedding, key(5), 1, [4]);
  const shown = (options: Parameters<typeof cads>[1], level: number) =>
    valuesOf(epsOf(cads(show, options))(zeros([1, 4]), tensor1d([level]), condition));
  const lambdaOf = (t: number) => -2 * Math.log(Math.tan((Math.PI / 2) * t));

  test('is the model bit for bit at s = 0, and up to rounding at t ≤ τ_1', () => {
    expect(shown({ scale: 0 }, -20)).toEqual([1, -1, 3, 0.5]);
    expect(shown({ scale: 1, from: 0.6, to: 0.9, mixing: 0 }, lambdaOf(0.59))).toEqual([1, -1, 3, 0.5]);
    shown({ scale: 1, from: 0.6, to: 0.9, mixing: 1 }, lambdaOf(0.59)).forEach((value, i) => {
      expect(value).toBeCloseTo([1, -1, 3, 0.5][i] as number, 5);
    });
  });
  test('is √γ c + s √(1 − γ) n between, and s n from τ_2 on', () => {
    for (const [t, gamma] of [
      [0.75, 0.5],
      [0.66, 0.8],
      [0.95, 0],
    ] as const) {
      const noise = tidy(() => valuesOf(noiseAt(condition.noise, tensor1d([lambdaOf(t)]))));
      shown({ scale: 0.3, from: 0.6, to: 0.9, mixing: 0 }, lambdaOf(t)).forEach((value, i) => {
        const expected =
          Math.sqrt(gamma) * ([1, -1, 3, 0.5][i] as number) + 0.3 * Math.sqrt(1 - gamma) * (noise[i] as number);
        expect(value).toBeCloseTo(expected, 3);
      });
    }
  });
  test('mixing 1 keeps the mean and deviation of the condition', () => {
    const out = shown({ scale: 0.5, mixing: 1 }, lambdaOf(0.8));
    const spread = (v: readonly number[]) => Math.sqrt(mean(v.map((x) => (x - mean(v)) ** 2)));
    expect(mean(out)).toBeCloseTo(mean([1, -1, 3, 0.5]), 4);
    expect(spread(out)).toBeCloseTo(spread([1, -1, 3, 0.5]), 4);
    expect(out).not.toEqual([1, -1, 3, 0.5]);
  });
  test('a constant condition and a lone value give no NaN', () => {
    for (const constant of [tensor2d([[2, 2, 2, 2]]), tensor2d([[0, 0, 0, 0]])]) {
      const all = valuesOf(
        epsOf(cads(show, { scale: 0.5 }))(zeros([1, 4]), tensor1d([-20]), {
          condition: constant,
          noise: condition.noise,
        }),
      );
      for (const value of all) expect(value).toBeCloseTo(constant.dataSync()[0] as number, 5);
    }
  });
  test('nests in classifier-free guidance of seeded conditions, where a sample keeps its noise', () => {
    const vectors = {
      drop: (c: Tensor2D) => c,
      nullCondition: (c: Tensor2D) => mul(c, 0) as Tensor2D,
      concat: (a: Tensor2D, b: Tensor2D) => concat([a, b]) as Tensor2D,
    };
    const inner: EpsFunction<Tensor2D> = (z, _, condition) => tidy(() => mul(z, sum(condition, 1, true)));
    const guided = classifierFree(cads(inner, { scale: 0.2, mixing: 0 }), seededConditioning(vectors), 1);
    const two: Seeded<Tensor2D> = seeded(tensor2d([[1], [2]]), key(6), 2, [1]);
    const level = at(lambdaOf(0.95), 2);
    const ones = tensor2d([[1], [1]]);
    // From τ_2 on the condition is noise with and without c alike: nothing to guide by.
    const noise = tidy(() => valuesOf(noiseAt(two.noise, level)));
    valuesOf(epsOf(guided)(ones, level, two)).forEach((value, i) => {
      expect(value).toBeCloseTo(0.2 * (noise[i] as number), 4);
    });
    expectNoLeak(() => epsOf(guided)(ones, level, two) as Tensor);
  });
  test('refuses options out of range', () => {
    expect(() => cads(show, { scale: -1 })).toThrow(/scale is -1/);
    expect(() => cads(show, { scale: 1, from: 0.9, to: 0.5 })).toThrow(/from is 0.9/);
    expect(() => cads(show, { scale: 1, from: 0.5, to: 0.5 })).toThrow(/from must be below to/);
  });
});
