import { defineModel, epsOf, joined, key, type Model, ONE_CALL, scales } from '@logsnr/core';
import {
  apg,
  type CfgCacheOptions,
  cfgCache,
  classifierFree,
  everyKth,
  type Fresh,
  interval,
  observeNull,
} from '@logsnr/guidance';
import { native } from '@logsnr/tensorflow';
import {
  add,
  div,
  equal,
  mul,
  reshape,
  slice,
  sub,
  type Tensor,
  type Tensor1D,
  tensor,
  tensor1d,
  tidy,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, mixture, valuesOf, z } from '../../guidance/test/tools.js';
import { compileSampler, ddim, heun, type Sampler, sample, trajectory } from './index.js';

const always: Fresh = () => true;
const lambdas = Array.from({ length: 16 }, (_, i) => -8 + i);
const labels = Array.from({ length: 12 }, (_, i) => i % 3);
const draw = (
  model: Model<Tensor1D>,
  {
    sampler = ddim() as Sampler<unknown>,
    of = labels,
    first = 0,
  }: { sampler?: Sampler<unknown>; of?: number[]; first?: number } = {},
): number[] =>
  tidy(() =>
    valuesOf(
      sample({
        model,
        condition: classes.of(of),
        sampler,
        lambdas,
        shape: [of.length, 2],
        key: key(5),
        firstSample: first,
      }),
    ),
  );
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0) / a.length);

/** A model whose x̂ for ∅ is that for the condition plus `gap` of λ. */
function gapped(gap: (lambda: Tensor1D) => Tensor): Model<Tensor1D> {
  return defineModel<Tensor1D>({
    predict(z, lambda, condition) {
      const own = mixture.model.predict(z, lambda, zerosLike(condition), null);
      const none = reshape(equal(condition, classes.nullCondition(condition)), [-1, 1]);
      const x = where(none, add(own.x, reshape(gap(lambda), [-1, 1])), own.x);
      const { alpha, sigma } = scales(z, lambda);
      return { x, eps: div(sub(z, mul(alpha, x)), sigma) };
    },
    cost: () => ONE_CALL,
  });
}

describe('everyKth', () => {
  test('the first points, then each k-th; what is between two points goes with the one before', () => {
    const seen = (fresh: Fresh) => lambdas.map(fresh).map(Number).join('');
    expect(seen(everyKth(lambdas, 1))).toBe('1111111111111111');
    expect(seen(everyKth(lambdas, 3))).toBe('1001001001001001');
    expect(seen(everyKth(lambdas, 3, { first: 4 }))).toBe('1111001001001001');
    const fresh = everyKth(lambdas, 2);
    expect([-9, -8, -7.5, -7, -6.5, -6, -5.01].map(fresh)).toEqual([true, true, true, false, false, true, true]);
    const third = everyKth([-1 / 3, 1 / 3, 2 / 3], 2);
    expect(third(Math.fround(1 / 3))).toBe(false);
    expect(third(Math.fround(2 / 3))).toBe(true);
  });
  test('refuses grids and numbers that are none', () => {
    expect(() => everyKth([1, 0], 2)).toThrow(RangeError);
    expect(() => everyKth(lambdas, 0)).toThrow('k is 0');
    expect(() => everyKth(lambdas, 1.5)).toThrow('k is 1.5');
    expect(() => everyKth(lambdas, 2, { first: 0 })).toThrow('first is 0');
  });
});

describe('cfgCache', () => {
  test('with ∅ made anew everywhere it is classifier-free guidance bit for bit, with w = 0 the model', () => {
    const full = draw(classifierFree(mixture.model, classes, 1.5));
    for (const estimate of ['hold', 'linear'] as const)
      expect(draw(cfgCache(mixture.model, classes, 1.5, always, { estimate }))).toEqual(full);
    expect(draw(cfgCache(mixture.model, classes, 0, always))).toEqual(draw(mixture.model));
    expect(draw(cfgCache(mixture.model, classes, 1.5, () => false))).toEqual(draw(mixture.model));
    const rule = apg({ momentum: -0.5 });
    expect(draw(cfgCache(mixture.model, classes, 1.5, always, { rule, evaluation: 'split' }))).toEqual(
      draw(classifierFree(mixture.model, classes, 1.5, { rule, evaluation: 'split' })),
    );
  });

  test('a difference that stays is held without an error, one on a line is extended without one', () => {
    const close = (model: Model<Tensor1D>, options: CfgCacheOptions, to: number) =>
      expect(
        distance(
          draw(cfgCache(model, classes, 1, everyKth(lambdas, 4, { first: 2 }), options)),
          draw(classifierFree(model, classes, 1)),
        ),
      ).toBeLessThan(to);
    const constant = gapped((lambda) => add(mul(lambda, 0), 0.3));
    close(constant, { of: 'x' }, 1e-5);
    close(constant, { of: 'x', estimate: 'linear' }, 1e-5);
    const line = gapped((lambda) => add(mul(lambda, 0.05), 0.3));
    close(line, { of: 'x', estimate: 'linear' }, 2e-5);
    expect(() => close(line, { of: 'x' }, 1e-2)).toThrow();
    // In another prediction the same difference is no constant.
    expect(() => close(constant, { of: 'eps' }, 1e-2)).toThrow();
  });

  test('with one difference known, a line is that difference held', () => {
    const once: Fresh = (lambda) => lambda === -8;
    for (const of of ['x', 'eps', 'v'] as const)
      expect(draw(cfgCache(mixture.model, classes, 1, once, { estimate: 'linear', of }))).toEqual(
        draw(cfgCache(mixture.model, classes, 1, once, { of })),
      );
  });

  test('costs what it says, and samples of multi-stage samplers too', () => {
    for (const [sampler, calls] of [
      [ddim(), 16],
      [heun(), 31],
    ] as const) {
      const { count, wrapped } = counted(mixture.model);
      const model = cfgCache(wrapped, classes, interval(2, { lambda: [-8, 4] }), everyKth(lambdas, 3));
      let said = 0;
      tidy(() => {
        for (const { cost } of trajectory({
          ...{ model, condition: classes.of(labels), sampler: sampler as Sampler<unknown>, lambdas },
          ...{ shape: [12, 2], key: key(0) },
        }))
          said += cost?.evaluations ?? Number.NaN;
      });
      expect(count.calls).toBe(calls);
      expect(count.samples).toBe(12 * said);
      expect(said).toBeLessThan(1.4 * calls);
      expect(said).toBeGreaterThan(calls);
    }
  });

  test.each<[string, CfgCacheOptions]>([
    ['hold', {}],
    ['linear', { estimate: 'linear' }],
    ['of v, APG', { of: 'v', rule: apg({ momentum: -0.5 }) }],
    ['regression', { estimate: { lambdas, coefficients: lambdas.map((_, i) => [0.9, 0.02 * i, 0.1]), of: 'eps' } }],
  ])('%s: compiled as eager, of any batch, of samples at different λ, without a leak', (_, options) => {
    const model = cfgCache(mixture.model, classes, interval(1.5, { lambda: [-7, 5] }), everyKth(lambdas, 3), options);
    const whole = draw(model);
    const parts = [0, 5].flatMap((first) => draw(model, { of: labels.slice(first, first === 0 ? 5 : 12), first }));
    expect(distance(parts, whole)).toBeLessThan(1e-6);
    const drawing = compileSampler(native(), { model, sampler: ddim() });
    const compiled = tidy(() =>
      valuesOf(drawing.sample({ condition: classes.of(labels), lambdas, shape: [12, 2], key: key(5) })),
    );
    drawing.dispose();
    expect(distance(compiled, whole)).toBeLessThan(2e-5);
    // At λ of its own each sample does what it does alone, and remembers it.
    const own = [-6, -5, 6];
    tidy(() => {
      const start = model.start(3, [2]);
      const first = model.predict(z, tensor1d([-8, -8, -5]), c, start);
      const both = model.predict(z, tensor1d(own), c, first.memory);
      own.forEach((lambda, i) => {
        const [zi, ci] = [slice(z, [i, 0], [1, 2]), slice(c, i, 1)];
        const one = model
          .at([-8, -8, -5][i] as number)
          .predict(zi, tensor1d([[-8, -8, -5][i] as number]), ci, model.start(1, [2]));
        const two = model.at(lambda).predict(zi, tensor1d([lambda]), ci, one.memory);
        expect(distance(valuesOf(slice(both.x, [i, 0], [1, 2])), valuesOf(two.x))).toBeLessThan(1e-5);
      });
    });
    expectNoLeak(() => tensor(draw(model)));
  });

  test('refuses what it cannot use, before any work', () => {
    const with_ = (options: object) => () => cfgCache(mixture.model, classes, 1, always, options);
    expect(with_({ estimate: 'guess' })).toThrow('estimate');
    expect(with_({ of: 'score' })).toThrow('of');
    const of = 'eps' as const;
    expect(with_({ estimate: { lambdas: [0, 1], coefficients: [[1]], of } })).toThrow('2 λ');
    expect(with_({ estimate: { lambdas: [0], coefficients: [[1, 2]], of } })).toThrow('2m + 1');
    expect(with_({ estimate: { lambdas: [0], coefficients: [[Number.NaN]], of } })).toThrow('finite');
    expect(with_({ estimate: { lambdas: [1, 0], coefficients: [[1], [1]], of } })).toThrow(RangeError);
    expect(() => cfgCache(mixture.model, classes, Number.NaN, always)).toThrow('w is NaN');
  });
});

describe('observeNull', () => {
  const watched = (past: number, of: 'eps' | 'x' | 'v' = 'eps') => {
    const seen = observeNull({ past, of });
    const drawn = draw(classifierFree(mixture.model, classes, 1, { rule: seen.rule }));
    return { seen, drawn };
  };

  test('guides as without it, and leaves nothing', () => {
    expect(distance(watched(1).drawn, draw(classifierFree(mixture.model, classes, 1)))).toBeLessThan(1e-6);
    expectNoLeak(() => tensor(watched(2).drawn));
  });

  test('cosine and distance are those of the two predictions', () => {
    const seen = observeNull({ past: 0 });
    const same = tensor1d([0.5, 0.5, 0.5]);
    const guided = classifierFree(mixture.model, classes, 1, { rule: seen.rule });
    tidy(() => guided.predict(z, same, c, guided.start(3, [2])).x);
    const eps = epsOf(mixture.model);
    const [own, none] = tidy(() => [valuesOf(eps(z, same, c)), valuesOf(eps(z, same, classes.nullCondition(c)))]) as [
      number[],
      number[],
    ];
    const cosines = [0, 1, 2].map((i) => {
      const [a, b, d, e] = [own[2 * i], own[2 * i + 1], none[2 * i], none[2 * i + 1]] as [
        number,
        number,
        number,
        number,
      ];
      return (a * d + b * e) / Math.hypot(a, b) / Math.hypot(d, e);
    });
    const [point] = seen.points();
    expect(point).toMatchObject({ lambda: 0.5, samples: 3 });
    expect(point?.cosine).toBeCloseTo(cosines.reduce((sum, value) => sum + value, 0) / 3, 5);
    expect(point?.least).toBeCloseTo(Math.min(...cosines), 5);
    expect(point?.apart).toBeCloseTo(distance(own, none) / distance(none, [0, 0, 0, 0, 0, 0]), 5);
  });

  test('finds the combination that the predictions are made by', () => {
    // ε_∅ = 0.7 ε_c of this call.
    const model = defineModel<Tensor1D>({
      predict(z, lambda, condition) {
        const eps = epsOf(mixture.model)(z, lambda, zerosLike(condition));
        const none = reshape(equal(condition, classes.nullCondition(condition)), [-1, 1]);
        const own = where(none, mul(eps, 0.7), eps);
        const { alpha, sigma } = scales(z, lambda);
        return { x: div(sub(z, mul(sigma, own)), alpha), eps: own };
      },
      cost: () => joined(ONE_CALL, 1),
    });
    const seen = observeNull({ past: 0 });
    const full = draw(classifierFree(model, classes, 1, { rule: seen.rule }));
    for (const [coefficient] of seen.regression().coefficients) expect(coefficient).toBeCloseTo(0.7, 4);
    for (const { error, cosine } of seen.points()) {
      expect(error).toBeLessThan(2e-3);
      expect(cosine).toBeCloseTo(1, 5);
    }
    const estimate = seen.regression();
    expect(distance(draw(cfgCache(model, classes, 1, () => false, { estimate })), full)).toBeLessThan(1e-3);
  });

  test('a regression measured on some samples predicts others nearer than ε_c does', () => {
    const { seen } = watched(1);
    const fresh = everyKth(lambdas, 2);
    const others = Array.from({ length: 60 }, (_, i) => i % 3);
    const far = (model: Model<Tensor1D>) =>
      distance(
        draw(model, { of: others, first: 1000 }),
        draw(classifierFree(mixture.model, classes, 1), { of: others, first: 1000 }),
      );
    const predicted = far(cfgCache(mixture.model, classes, 1, fresh, { estimate: seen.regression() }));
    const dropped = far(
      classifierFree(mixture.model, classes, { at: (l) => (fresh(l) ? 1 : 0), of: (l) => mul(l, 0) as Tensor1D }),
    );
    expect(predicted).toBeLessThan(0.5 * dropped);
    for (const { error } of seen.points().slice(1)) expect(error).toBeLessThan(1);
  });

  test('refuses a batch at many λ, and to speak before it saw', () => {
    const seen = observeNull();
    expect(() => seen.regression()).toThrow('nothing was seen');
    expect(() => observeNull({ past: -1 })).toThrow('past is -1');
    const guided = classifierFree(mixture.model, classes, 1, { rule: seen.rule });
    expect(() => tidy(() => guided.predict(z, tensor1d([0, 1, 2]), c, guided.start(3, [2])).x)).toThrow('3 λ at once');
  });
});
