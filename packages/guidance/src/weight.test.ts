import { epsOf } from '@logsnr/core';
import { compile } from '@logsnr/tensorflow';
import { linspace, type Tensor1D, tensor1d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, valuesOf, z } from '../test/tools.js';
import { classifierFree, fromScale, interval, rising, stepRange, type WeightSchedule } from './index.js';

const levels = [-20, -7, -2, -1, 0, 0.5, 1, 3, 8, 20];

describe.each<[string, WeightSchedule]>([
  ['interval in λ', interval(2, { lambda: [-1, 1] })],
  ['interval in σ', interval(1.5, { sigma: [0.28, 5.42] })],
  ['open interval', interval(1.5, { sigma: [0, 5.42] })],
  ['linear', rising(2)],
  ['cosine', rising(2, 'cosine')],
  ['powered cosine', rising(2, { powered: 4 })],
  ['clamped linear', rising(2, 'linear', 1)],
  ['interval of a rising weight', interval(rising(2), { lambda: [-1, 3] })],
])('%s', (_, w) => {
  test('gives the same numbers as a function and as a tensor', () => {
    const tensors = valuesOf(w.of(tensor1d(levels)));
    levels.forEach((level, i) => {
      expect(tensors[i]).toBeCloseTo(w.at(level), 5);
    });
    expectNoLeak(() => w.of(lambda));
  });

  test('compiles, and the compiled model gives what the eager one does', () => {
    const eager = classifierFree(mixture.model, classes, w);
    const compiled = compile(epsOf(eager));
    const expected = values(eager);
    valuesOf(compiled(z, lambda, c)).forEach((value, i) => {
      expect(Math.abs(value - (expected[i] as number))).toBeLessThan(1e-5 * (1 + Math.abs(expected[i] as number)));
    });
    compiled.dispose();
  });
});

test('a plain function of a number works eagerly and says why it cannot be compiled', () => {
  const model = classifierFree(mixture.model, classes, (lambda) => (lambda > 0 ? 1 : 0));
  expect(values(model).slice(0, 4)).toEqual(values(mixture.model).slice(0, 4));
  const compiled = compile(epsOf(model));
  expect(() => compiled(z, lambda, c)).toThrow(
    /w is a function of a number.*Give a WeightSchedule instead, such as interval/,
  );
});

describe('interval (2404.07724)', () => {
  test('is w inside and exactly the conditional model outside, ends included', () => {
    const w = interval(2, { lambda: [-1, 1] });
    expect(levels.map((level) => w.at(level))).toEqual([0, 0, 0, 2, 2, 2, 2, 0, 0, 0]);
    const got = values(classifierFree(mixture.model, classes, w)); // λ = −2, 0, 3
    const [alone, guided] = [values(mixture.model), values(classifierFree(mixture.model, classes, 2))];
    expect(got).toEqual([...alone.slice(0, 2), ...guided.slice(2, 4), ...alone.slice(4)]);
  });

  test('the ends are exact where λ is float32', () => {
    const ends = [-0.1, 0.1] as const; // neither is a float32
    const w = interval(1, { lambda: ends });
    const at = tensor1d([...ends]);
    expect(valuesOf(w.of(at))).toEqual([1, 1]);
    expect([...at.dataSync()].map((value) => w.at(value))).toEqual([1, 1]);
  });

  test('σ is EDM’s: σ = e^{−λ/2}', () => {
    const w = interval(1, { sigma: [0.28, 5.42] });
    for (const sigma of [0.2, 0.29, 1, 5.4, 5.5])
      expect(w.at(-2 * Math.log(sigma))).toBe(sigma >= 0.28 && sigma <= 5.42 ? 1 : 0);
  });

  test('one that excludes every step costs one evaluation a step and is the model bit for bit', () => {
    const { count, wrapped } = counted(mixture.model);
    const model = classifierFree(wrapped, classes, interval(3, { lambda: [30, 40] }));
    expect(values(model)).toEqual(values(mixture.model));
    expect(count).toEqual({ calls: 1, samples: 3 });
    expect(model.cost(0)).toEqual({ calls: 1, evaluations: 1, batch: 1, gradients: 0 });
    expect(model.cost(35)).toEqual({ calls: 1, evaluations: 2, batch: 2, gradients: 0 });
  });

  test('refuses ends that are out of order', () => {
    expect(() => interval(1, { lambda: [1, -1] })).toThrow(/the interval is \[1, -1\]/);
    expect(() => interval(1, { sigma: [-1, 1] })).toThrow(/σ not below 0/);
    expect(() => interval(Number.NaN, { sigma: [0, 1] })).toThrow(/w is NaN/);
  });
});

describe('rising (2404.13040)', () => {
  test.each([
    ['linear', rising(3)],
    ['cosine', rising(3, 'cosine')],
  ] as const)('%s rises from 0 and has mean w over t', (_, w) => {
    const at = (t: number) => w.at(-2 * Math.log(Math.tan((Math.PI / 2) * t)));
    const n = 1000;
    const all = Array.from({ length: n }, (_, i) => at((i + 0.5) / n));
    expect(all.reduce((sum, value) => sum + value, 0) / n).toBeCloseTo(3, 5);
    all.slice(1).forEach((value, i) => {
      expect(value).toBeLessThan(all[i] as number);
    });
    expect(at(0.5)).toBeCloseTo(3, 10);
  });
  test('by hand at t = 1/2, which is λ = 0', () => {
    expect(rising(2, { powered: 2 }).at(0)).toBeCloseTo(1 - Math.cos(Math.PI / 4), 12);
    expect(rising(2, 'linear', 2.5).at(0)).toBe(2.5);
  });
  test('refuses an unknown form', () => {
    expect(() => rising(1, 'square' as 'linear')).toThrow(/the form is "square"/);
    expect(() => rising(1, { powered: 0 })).toThrow(/powered/);
  });
});

test('fromScale converts s = 1 + w', () => {
  expect([fromScale(1), fromScale(7.5)]).toEqual([0, 6.5]);
});

test('a schedule of one λ for all samples shares one number, so the whole batch can be skipped', () => {
  const { count, wrapped } = counted(mixture.model);
  const model = classifierFree(wrapped, classes, interval(3, { lambda: [0, 1] }));
  for (const level of [-1, 0.5, 2]) epsOf(model)(z, linspace(level, level, 3) as Tensor1D, c);
  expect(count).toEqual({ calls: 3, samples: 3 + 6 + 3 });
});

test('an interval in σ holds its upper end and not its lower one, as in the paper; one in λ holds both', () => {
  const lambdaOf = (sigma: number) => -2 * Math.log(sigma);
  const inSigma = interval(1, { sigma: [0.5, 4] });
  const inLambda = interval(1, { lambda: [-1, 2] });
  const ends = [lambdaOf(4), lambdaOf(0.5), lambdaOf(4) - 1e-3, lambdaOf(0.5) - 1e-3];
  expect(ends.map(inSigma.at)).toEqual([1, 0, 0, 1]);
  expect(valuesOf(inSigma.of(tensor1d(ends)))).toEqual([1, 0, 0, 1]);
  expect([-1, 2, -1.001, 2.001].map(inLambda.at)).toEqual([1, 1, 0, 0]);
  expect(valuesOf(inLambda.of(tensor1d([-1, 2, -1.001, 2.001])))).toEqual([1, 1, 0, 0]);
  expect(interval(1, { sigma: [0, 4] }).at(40)).toBe(1);
});

describe('stepRange', () => {
  const lambdas = [-9, -4.3, -1, 0, 0.7, 2, 3.1, 5, 8, 11];
  test.each([
    [0, 1],
    [0.1, 0.8],
    [0, 0.05 + 0.3],
    [0.55, 1],
    [0.3, 0.4],
  ])('from %s to %s holds the steps of diffusers’ guiders, as a number and as a tensor', (start, stop) => {
    const w = interval(2, stepRange(lambdas, start, stop));
    // Their classifier_free_guidance.py: int(start · T) ≤ step < int(stop · T).
    const theirs = lambdas.map((_, i) => (Math.trunc(start * 10) <= i && i < Math.trunc(stop * 10) ? 2 : 0));
    expect(lambdas.map((lambda) => w.at(lambda))).toEqual(theirs);
    expect(lambdas.map((lambda) => w.at(Math.fround(lambda)))).toEqual(theirs);
    expect(valuesOf(w.of(tensor1d(lambdas)))).toEqual(theirs);
    // Between two points it is what it is at the one before.
    const between = lambdas.slice(0, -1).map((lambda, i) => (lambda + (lambdas[i + 1] as number)) / 2);
    expect(between.map((lambda) => w.at(lambda))).toEqual(theirs.slice(0, -1));
  });
  test('refuses what holds no step', () => {
    expect(() => stepRange(lambdas, 0.31, 0.39)).toThrow('no step of 10 is between 0.31 and 0.39');
    expect(() => stepRange(lambdas, 0.5, 0.5)).toThrow('give fractions with 0 ≤ start < stop ≤ 1');
    expect(() => stepRange(lambdas, 0, 1.1)).toThrow('stop is 1.1');
    expect(() => stepRange([1, 0], 0, 1)).toThrow('λ must increase strictly');
  });
});
