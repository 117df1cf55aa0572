import { type EpsFunction, epsOf, sigma } from '@logsnr/core';
import { add, concat, mul, reshape, slice, type Tensor1D, tensor1d, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, z } from '../test/tools.js';
import { classifierFree, fromScale } from './index.js';

test('is (1 + w) ε(z, c) − w ε(z, ∅), in one batch or in two', () => {
  const conditional = epsOf(mixture.model)(z, lambda, c).dataSync();
  const unconditional = epsOf(mixture.model)(z, lambda, classes.nullCondition(c)).dataSync();
  for (const w of [-1, -0.3, 0.5, 3])
    for (const evaluation of ['joint', 'split'] as const)
      values(classifierFree(mixture.model, classes, w, { evaluation })).forEach((value, i) => {
        const expected = (1 + w) * (conditional[i] as number) - w * (unconditional[i] as number);
        expect(Math.abs(value - expected)).toBeLessThan(2e-6 * (1 + Math.abs(expected)));
      });
});

describe('w = 0', () => {
  const plain = values(mixture.model);

  test.each([
    ['a constant', 0],
    ['minus zero', -0],
    ['a function', () => 0],
  ] as const)('given as %s is the identity bit for bit, and costs one evaluation', (_, w) => {
    const { count, wrapped } = counted(mixture.model);
    expect(values(classifierFree(wrapped, classes, w))).toEqual(plain);
    expect(count).toEqual({ calls: 1, samples: 3 });
  });

  test('holds for samples whose own w(λ) is 0 while others are guided', () => {
    const mixed = values(classifierFree(mixture.model, classes, (lambda) => (lambda > 1 ? 2 : 0)));
    const guided = values(classifierFree(mixture.model, classes, 2));
    expect(mixed.slice(0, 4)).toEqual(plain.slice(0, 4));
    mixed.slice(4).forEach((value, i) => {
      expect(value).toBeCloseTo(guided[4 + i] as number, 5);
    });
  });
});

test('the joint batch halves the calls; the split halves the batch', () => {
  for (const [evaluation, expected] of [
    ['joint', { calls: 1, samples: 6 }],
    ['split', { calls: 2, samples: 6 }],
  ] as const) {
    const { count, wrapped } = counted(mixture.model);
    values(classifierFree(wrapped, classes, 1, { evaluation }));
    expect(count).toEqual(expected);
  }
});

test('the guided ε is −σ times the gradient of log p(z|c) + w log p(c|z)', () => {
  const points = z.arraySync();
  const lambdas = [...lambda.dataSync()];
  for (const w of [0.5, 2, 4]) {
    const guided = values(classifierFree(mixture.model, classes, w));
    points.forEach((point, i) => {
      const at = lambdas[i] as number;
      // p(c|z) = p(z|c) p(c)/p(z), so the tilted log-density is (1 + w) log p(z|c) − w log p(z) up to a constant.
      const tilted = (p: number[]) => (1 + w) * mixture.logDensity(p, at, i) - w * mixture.logDensity(p, at);
      point.forEach((_, j) => {
        const shifted = (h: number) => tilted(point.map((value, k) => (k === j ? value + h : value)));
        const h = 1e-3 * sigma(at);
        const slope = (8 * (shifted(h) - shifted(-h)) - (shifted(2 * h) - shifted(-2 * h))) / (12 * h);
        const expected = -sigma(at) * slope;
        expect(Math.abs((guided[2 * i + j] as number) - expected)).toBeLessThan(1e-5 * (1 + Math.abs(expected)));
      });
    });
  }
});

test('guidance nests: two weights add', () => {
  // Guiding with w, then guiding that against the same ∅ with v: (1+v)((1+w)ε_c − wε_∅) − vε_∅.
  const [w, v] = [0.7, 1.5];
  const inner: EpsFunction<Tensor1D> = (z, lambda, label) =>
    epsOf(classifierFree(mixture.model, classes, w))(z, lambda, label);
  const outer = values(classifierFree(inner, classes, v));
  const whole = values(classifierFree(mixture.model, classes, w + v + w * v));
  outer.forEach((value, i) => {
    expect(value).toBeCloseTo(whole[i] as number, 4);
  });
});

test('splitting a batch changes no sample', () => {
  const guided = classifierFree(mixture.model, classes, 2);
  const whole = epsOf(guided)(z, lambda, c).dataSync();
  const parts = [0, 1, 2].map((i) =>
    epsOf(guided)(slice(z, [i, 0], [1, 2]), slice(lambda, [i], [1]), slice(c, [i], [1])),
  );
  expect([...concat(parts).dataSync()]).toEqual([...whole]);
});

test('wraps any function of (z, λ, c), with any kind of condition', () => {
  type Pair = { scale: Tensor1D };
  const conditioning = {
    drop: (pair: Pair) => pair,
    nullCondition: (like: Pair) => ({ scale: mul(like.scale, 0) as Tensor1D }),
    concat: (a: Pair, b: Pair) => ({ scale: concat([a.scale, b.scale]) }),
  };
  const model: EpsFunction<Pair> = (z, lambda, { scale }) =>
    tidy(() => add(mul(z, reshape(scale, [-1, 1])), mul(reshape(lambda, [-1, 1]), 0)));
  const guided = classifierFree(model, conditioning, 3);
  expect([...epsOf(guided)(tensor2d([[1], [2]]), tensor1d([0, 0]), { scale: tensor1d([1, 0.5]) }).dataSync()]).toEqual([
    4, 4,
  ]);
});

test('leaks nothing, whichever way it evaluates', () => {
  for (const w of [0, 2, (lambda: number) => lambda])
    for (const evaluation of ['joint', 'split'] as const)
      expectNoLeak(() => epsOf(classifierFree(mixture.model, classes, w, { evaluation }))(z, lambda, c));
});

test('a weight that is not finite, or an unknown option, is refused', () => {
  expect(() => classifierFree(mixture.model, classes, Number.NaN)).toThrow('w is NaN; it must be a finite number.');
  expect(() => classifierFree(mixture.model, classes, Number.POSITIVE_INFINITY)).toThrow(/w is Infinity/);
  expect(() => epsOf(classifierFree(mixture.model, classes, () => Number.NaN))(z, lambda, c)).toThrow('w(-2) is NaN');
  expect(() => classifierFree(mixture.model, classes, 1, { evaluation: 'both' as 'joint' })).toThrow(/"both"/);
  expect(() => epsOf(classifierFree(mixture.model, classes, 1))(z, tensor1d([1]), c)).toThrow(
    'lambda has shape [1]; it must be [3]',
  );
});

test('fromScale converts s = 1 + w', () => {
  expect(fromScale(1)).toBe(0);
  expect(fromScale(7.5)).toBe(6.5);
  expect(() => fromScale(Number.NaN)).toThrow(/s is NaN/);
});
