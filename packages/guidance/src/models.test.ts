import { type EpsModel, joined, ONE_CALL } from '@logsnr/core';
import { concat, mul, reshape, sub, type Tensor1D, tensor1d, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, valuesOf, z } from '../test/tools.js';
import {
  autoguidance,
  cfgPlusPlus,
  classifierFree,
  classifierGuidance,
  composed,
  interval,
  negative,
  rescale,
} from './index.js';

const weak: EpsModel<Tensor1D> = (z, lambda, label) => tidy(() => mul(mixture.model(z, lambda, label), 0.9));
const close = (got: readonly number[], expected: readonly number[]) => {
  expected.forEach((value, i) => {
    expect(Math.abs((got[i] as number) - value)).toBeLessThan(3e-6 * (1 + Math.abs(value)));
  });
};

describe('autoguidance', () => {
  test('leads away from the weaker model; w = 0 is the model bit for bit', () => {
    const eps = values(mixture.model);
    close(
      values(autoguidance(mixture.model, weak, 2)),
      eps.map((e) => e + 2 * (e - 0.9 * e)),
    );
    expect(values(autoguidance(mixture.model, weak, 0))).toEqual(eps);
    expect(values(autoguidance(mixture.model, mixture.model, 5))).toEqual(eps);
    expectNoLeak(() => autoguidance(mixture.model, weak, 2)(z, lambda, c));
  });
  test('with the unconditional model for the weaker one it is classifier-free guidance', () => {
    const none: EpsModel<Tensor1D> = (z, lambda, label) => mixture.model(z, lambda, classes.none(label));
    expect(values(autoguidance(mixture.model, none, 2))).toEqual(values(classifierFree(mixture.model, classes, 2)));
  });
});

describe('negative and composed conditions', () => {
  const other = classes.of([1, 2, 0]);
  const eps = (label: Tensor1D) => valuesOf(mixture.model(z, lambda, label));
  const [first, second, empty] = [eps(c), eps(other), eps(classes.none(c))];

  test('a negative condition stands in the place of ∅', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const model = negative(mixture.model, classes, 2, { evaluation });
      close(
        valuesOf(model(z, lambda, { condition: c, negative: other })),
        first.map((e, i) => 3 * e - 2 * (second[i] as number)),
      );
      expect(valuesOf(model(z, lambda, { condition: c, negative: classes.none(c) }))).toEqual(
        values(classifierFree(mixture.model, classes, 2)),
      );
    }
    const off = negative(mixture.model, classes, 0);
    expect(valuesOf(off(z, lambda, { condition: c, negative: other }))).toEqual(first);
  });

  test('composed conditions are ε_∅ + Σ (1 + w_i)(ε_i − ε_∅); one alone is classifier-free bit for bit', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const model = composed(mixture.model, classes, [2, -1.5], { evaluation });
      close(
        valuesOf(model(z, lambda, [c, other])),
        first.map((e, i) => {
          const none = empty[i] as number;
          return none + 3 * (e - none) - 0.5 * ((second[i] as number) - none);
        }),
      );
      expectNoLeak(() => model(z, lambda, [c, other]));
    }
    for (const w of [0, 2])
      expect(valuesOf(composed(mixture.model, classes, [w])(z, lambda, [c]))).toEqual(
        values(classifierFree(mixture.model, classes, w)),
      );
    close(valuesOf(composed(mixture.model, classes, [0, -1])(z, lambda, [c, other])), first);
  });

  test('refuses weights that do not fit', () => {
    expect(() => composed(mixture.model, classes, [])).toThrow(/w is empty/);
    expect(() => composed(mixture.model, classes, [1, Number.NaN])).toThrow(/w\[1\] is NaN/);
    expect(() => composed(mixture.model, classes, [1, 2])(z, lambda, [c])).toThrow(/1 conditions and 2 weights/);
  });
});

describe('cfg++', () => {
  test('denoises with the guided ε and renoises with ε(z, ∅)', () => {
    const model = cfgPlusPlus(mixture.model, classes, -0.4);
    const { denoise, renoise } = model.split(z, lambda, c);
    expect(valuesOf(denoise)).toEqual(values(classifierFree(mixture.model, classes, -0.4)));
    expect(valuesOf(renoise)).toEqual(valuesOf(mixture.model(z, lambda, classes.none(c))));
    expect(values(model)).toEqual(valuesOf(denoise));
    expectNoLeak(() => ({ ...model.split(z, lambda, c) }));
  });
  test('is not to be guided again, which would lose a part', () => {
    const model = cfgPlusPlus(mixture.model, classes, -0.4);
    for (const around of [
      () => classifierFree(model, classes, 1),
      () => autoguidance(mixture.model, model, 1),
      () => classifierGuidance(model, mixture.logPosterior, 1),
      () => composed(model, classes, [1])(z, lambda, [c]),
    ])
      expect(around).toThrow(/gives ε̂ in two parts.*guidance goes inside such a model/);
  });
  test('w = 0 still renoises without the condition; w = −1 is the unconditional model in both', () => {
    const off = cfgPlusPlus(mixture.model, classes, 0).split(z, lambda, c);
    expect(valuesOf(off.denoise)).toEqual(values(mixture.model));
    expect(valuesOf(off.renoise)).not.toEqual(values(mixture.model));
    const whole = cfgPlusPlus(mixture.model, classes, -1).split(z, lambda, c);
    close(valuesOf(whole.denoise), valuesOf(whole.renoise));
  });
});

describe('around a model that is a function written by hand', () => {
  // ε(z, λ, c) = c z for numbers c, with 0 for ∅.
  type Scale = { scale: Tensor1D };
  const model: EpsModel<Scale> = (z, _, { scale }) => tidy(() => mul(z, reshape(scale, [-1, 1])));
  const conditioning = {
    drop: (c: Scale) => c,
    none: (like: Scale) => ({ scale: mul(like.scale, 0) as Tensor1D }),
    concat: (a: Scale, b: Scale) => ({ scale: concat([a.scale, b.scale]) }),
  };
  const [at, level] = [tensor2d([[2]]), tensor1d([0])];
  const at1 = (m: EpsModel<Scale>) => valuesOf(m(at, level, { scale: tensor1d([0.5]) }))[0] as number;

  test('all methods that nest, a batch of one, ε_∅ of zero', () => {
    expect(at1(classifierFree(model, conditioning, 3))).toBe(4);
    expect(at1(classifierFree(classifierFree(model, conditioning, 1), conditioning, 1))).toBe(4);
    expect(at1(autoguidance(classifierFree(model, conditioning, 1), model, 2))).toBe(2 + 2 * (2 - 1));
    expect(at1(classifierFree(model, conditioning, 3, { rule: rescale(1) }))).toBe(4);
    // log p = −z²/2 has slope −z.
    const slope = classifierGuidance(model, (z) => reshape(mul(mul(z, z), -0.5), [-1]) as Tensor1D, 1);
    expect(at1(slope)).toBeCloseTo(1 + Math.SQRT1_2 * 2, 5);
  });
});

describe('cost', () => {
  test('is what the network sees, joint and split, nested and by itself', () => {
    const methods: ((m: EpsModel<Tensor1D>) => EpsModel<Tensor1D>)[] = [
      (m) => classifierFree(m, classes, 1),
      (m) => classifierFree(m, classes, 1, { evaluation: 'split' }),
      (m) => classifierFree(m, classes, 0),
      (m) => classifierFree(classifierFree(m, classes, 1, { evaluation: 'split' }), classes, 1),
      (m) => classifierFree(classifierFree(m, classes, 1), classes, 1),
      (m) => autoguidance(classifierFree(m, classes, 1), m, 1),
      (m) => classifierGuidance(classifierFree(m, classes, 1), mixture.logPosterior, 0),
      (m) => cfgPlusPlus(m, classes, 0),
    ];
    const costs = methods.map((method) => {
      const { count, wrapped } = counted(mixture.model);
      const model = method(wrapped) as ReturnType<typeof classifierFree<Tensor1D>>;
      (model.split ?? model)(z, lambda, c);
      expect(model.cost(0)).toMatchObject({ calls: count.calls, evaluations: count.samples / 3 });
      return model.cost(0);
    });
    expect(costs.map(({ calls, evaluations, batch }) => [calls, evaluations, batch])).toEqual([
      [1, 2, 2],
      [2, 2, 1],
      [1, 1, 1],
      [2, 4, 2],
      [1, 4, 4],
      [2, 3, 2],
      [1, 2, 2],
      [1, 2, 2],
    ]);
  });
  test('follows w(λ)', () => {
    const model = classifierFree(mixture.model, classes, interval(1, { lambda: [0, 1] }));
    expect([model.cost(-1), model.cost(0.5)]).toEqual([ONE_CALL, joined(ONE_CALL, 2)]);
  });
});

test('the difference of two guided models is w times the implicit classifier’s slope', () => {
  const [one, three] = [classifierFree(mixture.model, classes, 1), classifierFree(mixture.model, classes, 3)];
  const half = valuesOf(mul(sub(three(z, lambda, c), one(z, lambda, c)), 0.5));
  const implied = valuesOf(sub(mixture.model(z, lambda, c), mixture.model(z, lambda, classes.none(c))));
  half.forEach((value, i) => {
    expect(value).toBeCloseTo(implied[i] as number, 5);
  });
});
