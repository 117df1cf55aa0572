import {
  alphaSigma,
  defineModel,
  type EpsFunction,
  epsOf,
  joined,
  key,
  type Memory,
  type Model,
  type ModelLike,
  ONE_CALL,
  perSample,
  tensorsOf,
  toModel,
  withCondition,
} from '@logsnr/core';
import { native } from '@logsnr/tensorflow';
import {
  add,
  concat,
  dispose,
  fill,
  mul,
  reshape,
  sub,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tensor2d,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, valuesOf, z } from '../test/tools.js';
import {
  apg,
  autoguidance,
  cfgPlusPlus,
  classifierFree,
  classifierGuidance,
  composed,
  feedbackGuidance,
  guidedNetwork,
  independentCondition,
  interval,
  momentumGuidance,
  negative,
  perturbedGuidance,
  posteriorSampling,
  randomCondition,
  rescale,
  seeded,
  seededConditioning,
  staticThreshold,
  type Term,
  terms,
  thresholdX,
  timeStepGuidance,
  uniformLabels,
  type Weight,
  zeroInit,
} from './index.js';

const weak: EpsFunction<Tensor1D> = (z, lambda, label) => tidy(() => mul(epsOf(mixture.model)(z, lambda, label), 0.9));
const close = (got: readonly number[], expected: readonly number[]) => {
  expected.forEach((value, i) => {
    expect(Math.abs((got[i] as number) - value)).toBeLessThan(3e-6 * (1 + Math.abs(value)));
  });
};

describe('guidedNetwork', () => {
  // A network that guides: what classifier-free guidance is at the weight that it is given.
  const { count, wrapped } = counted<{ condition: Tensor1D; w: Tensor1D }>((z, lambda, { condition, w }) =>
    tidy(() => {
      const eps = epsOf(mixture.model);
      const [own, none] = [eps(z, lambda, condition), eps(z, lambda, classes.nullCondition(condition))];
      return add(own, mul(sub(own, none), reshape(w, [-1, 1])));
    }),
  );
  test('is guided by one evaluation, also by a weight that changes with λ', () => {
    for (const w of [0, 1.5, interval(2, { lambda: [-1, 1] }), (lambda: number) => lambda / 3]) {
      const model = guidedNetwork(wrapped, w);
      count.samples = 0;
      close(values(model), values(classifierFree(mixture.model, classes, w)));
      expect(count.samples).toBe(3);
      expect(model.cost(0).evaluations).toBe(1);
      expectNoLeak(() => epsOf(model)(z, lambda, c));
    }
    expect(() => guidedNetwork(wrapped, Number.NaN)).toThrow('w is NaN');
  });
});

describe('autoguidance', () => {
  test('leads away from the weaker model; w = 0 is the model bit for bit', () => {
    const eps = values(mixture.model);
    close(
      values(autoguidance(mixture.model, weak, 2)),
      eps.map((e) => e + 2 * (e - 0.9 * e)),
    );
    expect(values(autoguidance(mixture.model, weak, 0))).toEqual(eps);
    expect(values(autoguidance(mixture.model, mixture.model, 5))).toEqual(eps);
    expectNoLeak(() => epsOf(autoguidance(mixture.model, weak, 2))(z, lambda, c));
  });
  test('with the unconditional model for the weaker one it is classifier-free guidance', () => {
    const none: EpsFunction<Tensor1D> = (z, lambda, label) =>
      epsOf(mixture.model)(z, lambda, classes.nullCondition(label));
    expect(values(autoguidance(mixture.model, none, 2))).toEqual(values(classifierFree(mixture.model, classes, 2)));
  });
});

describe('perturbed guidance around one shared conditional prediction', () => {
  const none: EpsFunction<Tensor1D> = (z, lambda, label) =>
    epsOf(mixture.model)(z, lambda, classes.nullCondition(label));
  const [eps, empty] = [values(mixture.model), values(none)];

  test('is ε_c + w (ε_c − ε_∅) + k (ε_c − ε_weak): three evaluations', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const { count, wrapped } = counted(mixture.model);
      const model = perturbedGuidance(wrapped, weak, classes, { w: 2, weakWeight: 0.5, evaluation });
      close(
        values(model),
        eps.map((e, i) => e + 2 * (e - (empty[i] as number)) + 0.5 * 0.1 * e),
      );
      expect(count.samples).toBe(6);
      expect(model.cost(0)).toMatchObject({ evaluations: 3, batch: evaluation === 'joint' ? 2 : 1 });
      expectNoLeak(() => epsOf(model)(z, lambda, c));
    }
  });
  test('with one weight of 0 it is the other method, which is not the nested form', () => {
    const at = (w: number, weakWeight: number) => perturbedGuidance(mixture.model, weak, classes, { w, weakWeight });
    close(values(at(2, 0)), values(classifierFree(mixture.model, classes, 2)));
    close(values(at(0, 0.5)), values(autoguidance(mixture.model, weak, 0.5)));
    expect(values(at(0, 0))).toEqual(eps);
    expect([at(0, 0).cost(0).calls, at(2, 0).cost(0).calls, at(0, 1).cost(0).calls]).toEqual([1, 1, 2]);
    const nested = values(autoguidance(classifierFree(mixture.model, classes, 2), weak, 0.5));
    expect(nested.some((value, i) => Math.abs(value - (values(at(2, 0.5))[i] as number)) > 1e-2)).toBe(true);
  });
});

describe('terms around one shared conditional prediction', () => {
  const random = seeded(c, key(1), 3, [3]);
  const seededModel = (model: Model<Tensor1D>) =>
    withCondition(model, ({ condition }: { condition: Tensor1D }) => condition);
  const drawn = randomCondition(uniformLabels);
  const many = (model: Model<Tensor1D>, evaluation: 'joint' | 'split', weight: Weight = 0.5) =>
    terms(
      seededModel(model),
      seededConditioning(classes),
      [
        { against: 'null', weight: 2 },
        { against: { model: seededModel(toModel(weak)) }, weight },
        { against: { condition: drawn }, weight: 0.25 },
      ],
      { evaluation },
    );
  const eps = values(mixture.model);
  const none = valuesOf(epsOf(mixture.model)(z, lambda, classes.nullCondition(c)));
  const other = valuesOf(tidy(() => epsOf(mixture.model)(z, lambda, drawn(random, lambda).condition)));

  test('is ε_c + Σ w_i (ε_c − ε_i); ε_c is made once, and the model’s own predictions in one batch', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const { count, wrapped } = counted(mixture.model);
      const model = many(wrapped, evaluation);
      const expected = eps.map(
        (e, i) => e + 2 * (e - (none[i] as number)) + 0.05 * e + 0.25 * (e - (other[i] as number)),
      );
      close(valuesOf(epsOf(model)(z, lambda, random)), expected);
      // Three of the model itself; the weaker one is another network.
      expect(count).toEqual({ calls: evaluation === 'joint' ? 1 : 3, samples: 9 });
      expect(model.cost(0)).toMatchObject({ calls: evaluation === 'joint' ? 2 : 4, evaluations: 4 });
      expectNoLeak(() => epsOf(model)(z, lambda, random));
    }
  });
  test('a term is made where its weight is not 0, and one model serves all λ where the same are', () => {
    const model = many(mixture.model, 'joint', interval(0.5, { lambda: [-1, 1] }));
    const got = valuesOf(epsOf(model)(z, lambda, random)); // λ = −2, 0, 3
    eps.forEach((e, i) => {
      const weakWeight = i === 2 || i === 3 ? 0.5 : 0;
      const expected = e + 2 * (e - (none[i] as number)) + weakWeight * 0.1 * e + 0.25 * (e - (other[i] as number));
      expect(got[i]).toBeCloseTo(expected, 4);
    });
    expect([-2, 0, 3].map((at) => model.cost(at).evaluations)).toEqual([3, 4, 3]);
    expect(model.at(-2)).toBe(model.at(3));
    expect(model.at(0)).not.toBe(model.at(3));
  });
  test('one term is the method that it is, bit for bit', () => {
    const alone = (against: Term<Tensor1D>['against']) =>
      values(terms(mixture.model, classes, [{ against, weight: 2 }]));
    expect(alone('null')).toEqual(values(classifierFree(mixture.model, classes, 2)));
    expect(alone({ model: weak })).toEqual(values(autoguidance(mixture.model, weak, 2)));
    const icg = terms(seededModel(mixture.model), seededConditioning(classes), [
      { against: { condition: drawn }, weight: 2 },
    ]);
    expect(valuesOf(epsOf(icg)(z, lambda, random))).toEqual(
      valuesOf(epsOf(independentCondition(mixture.model, classes, uniformLabels, 2))(z, lambda, random)),
    );
  });
  test('refuses no terms and weights that are no numbers', () => {
    expect(() => terms(mixture.model, classes, [])).toThrow('there are no terms');
    expect(() => terms(mixture.model, classes, [{ against: 'null', weight: Number.NaN }])).toThrow(
      'terms[0].weight is NaN',
    );
  });
});

describe('negative and composed conditions', () => {
  const other = classes.of([1, 2, 0]);
  const eps = (label: Tensor1D) => valuesOf(epsOf(mixture.model)(z, lambda, label));
  const [own, second, empty] = [eps(c), eps(other), eps(classes.nullCondition(c))];

  test('a negative condition stands in the place of ∅', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const model = negative(mixture.model, classes, 2, { evaluation });
      close(
        valuesOf(epsOf(model)(z, lambda, { condition: c, negative: other })),
        own.map((e, i) => 3 * e - 2 * (second[i] as number)),
      );
      expect(valuesOf(epsOf(model)(z, lambda, { condition: c, negative: classes.nullCondition(c) }))).toEqual(
        values(classifierFree(mixture.model, classes, 2)),
      );
    }
    const off = negative(mixture.model, classes, 0);
    expect(valuesOf(epsOf(off)(z, lambda, { condition: c, negative: other }))).toEqual(own);
  });

  test('composed conditions are ε_∅ + Σ (1 + w_i)(ε_i − ε_∅); one alone is classifier-free bit for bit', () => {
    for (const evaluation of ['joint', 'split'] as const) {
      const model = composed(mixture.model, classes, [2, -1.5], { evaluation });
      close(
        valuesOf(epsOf(model)(z, lambda, [c, other])),
        own.map((e, i) => {
          const none = empty[i] as number;
          return none + 3 * (e - none) - 0.5 * ((second[i] as number) - none);
        }),
      );
      expectNoLeak(() => epsOf(model)(z, lambda, [c, other]));
    }
    for (const w of [0, 2])
      expect(valuesOf(epsOf(composed(mixture.model, classes, [w]))(z, lambda, [c]))).toEqual(
        values(classifierFree(mixture.model, classes, w)),
      );
    close(valuesOf(epsOf(composed(mixture.model, classes, [0, -1]))(z, lambda, [c, other])), own);
  });

  test('refuses weights that do not fit', () => {
    expect(() => composed(mixture.model, classes, [])).toThrow(/w is empty/);
    expect(() => composed(mixture.model, classes, [1, Number.NaN])).toThrow(/w\[1\] is NaN/);
    expect(() => epsOf(composed(mixture.model, classes, [1, 2]))(z, lambda, [c])).toThrow(/1 conditions and 2 weights/);
  });
});

/** What a model predicts at its first call. */
const first = (model: Model<Tensor1D>) => model.predict(z, lambda, c, model.start(3, [2]));

describe('cfg++', () => {
  test('denoises with the guided ε and renoises with ε(z, ∅)', () => {
    const model = cfgPlusPlus(mixture.model, classes, -0.4);
    const { x, eps, renoise } = first(model);
    const free = first(classifierFree(mixture.model, classes, -0.4));
    expect([valuesOf(x), valuesOf(eps)]).toEqual([valuesOf(free.x), valuesOf(free.eps)]);
    expect(valuesOf(renoise as Tensor)).toEqual(valuesOf(epsOf(mixture.model)(z, lambda, classes.nullCondition(c))));
    expect(model.gives).toEqual({ renoise: true, variance: false });
  });
  test('is not to be guided again, which would lose a part', () => {
    const model = cfgPlusPlus(mixture.model, classes, -0.4);
    for (const around of [
      () => classifierFree(model, classes, 1),
      () => autoguidance(mixture.model, model, 1),
      () => classifierGuidance(model, mixture.logPosterior, 1),
      () => epsOf(composed(model, classes, [1]))(z, lambda, [c]),
    ])
      expect(around).toThrow(/gives a second ε̂ to renoise with.*guidance goes inside such a model/);
  });
  test('w = 0 still renoises without the condition; w = −1 is the unconditional model in both', () => {
    const off = first(cfgPlusPlus(mixture.model, classes, 0));
    expect(valuesOf(off.eps)).toEqual(values(mixture.model));
    expect(valuesOf(off.renoise as Tensor)).not.toEqual(values(mixture.model));
    const whole = first(cfgPlusPlus(mixture.model, classes, -1));
    close(valuesOf(whole.eps), valuesOf(whole.renoise as Tensor));
  });
});

describe('around a model that is a function written by hand', () => {
  // ε(z, λ, c) = c z for numbers c, with 0 for ∅.
  type Scale = { scale: Tensor1D };
  const model: EpsFunction<Scale> = (z, _, { scale }) => tidy(() => mul(z, reshape(scale, [-1, 1])));
  const conditioning = {
    drop: (c: Scale) => c,
    nullCondition: (like: Scale) => ({ scale: mul(like.scale, 0) as Tensor1D }),
    concat: (a: Scale, b: Scale) => ({ scale: concat([a.scale, b.scale]) }),
  };
  const [at, level] = [tensor2d([[2]]), tensor1d([0])];
  const at1 = (m: ModelLike<Scale>) => valuesOf(epsOf(m)(at, level, { scale: tensor1d([0.5]) }))[0] as number;

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
    const methods: ((m: Model<Tensor1D>) => Model<Tensor1D>)[] = [
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
      const model = method(wrapped);
      first(model);
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
  const half = valuesOf(mul(sub(epsOf(three)(z, lambda, c), epsOf(one)(z, lambda, c)), 0.5));
  const implied = valuesOf(
    sub(epsOf(mixture.model)(z, lambda, c), epsOf(mixture.model)(z, lambda, classes.nullCondition(c))),
  );
  half.forEach((value, i) => {
    expect(value).toBeCloseTo(implied[i] as number, 5);
  });
});

test('labels that do not fit are refused before any work, also at w = 0', () => {
  const { count, wrapped } = counted(mixture.model);
  for (const w of [0, 1])
    for (const model of [classifierFree(wrapped, classes, w), cfgPlusPlus(wrapped, classes, w)]) {
      const run = (labels: unknown) => () => epsOf(model)(z, lambda, labels as Tensor1D);
      expect(run(tensor1d([0, 1, 2]))).toThrow('the labels have type float32; they are int32');
      expect(run(classes.of([0, 1]))).toThrow('the labels has shape [2]; it must be [3].');
      expect(run([0, 1, 2])).toThrow('the labels are no tensor');
    }
  expect(count.calls).toBe(0);
});

describe('nothing is lost: every wrapper of a model that remembers, learns its variance and says its cost', () => {
  const start = (n: number) => ({ calls: zeros([n]) });
  /** Counts the calls of each sample in its memory; at λ > 5 it is another, cheaper model. */
  const rich = (cost = 3): Model<Tensor1D> => {
    const model: Model<Tensor1D> = defineModel<Tensor1D>({
      predict(z, lambda, label, memory) {
        const made = mixture.model.predict(z, lambda, label, null);
        const { calls } = memory as { calls: Tensor };
        return { ...made, variance: fill(z.shape, 0.25), memory: { calls: add(calls, 1) } };
      },
      cost: () => ({ ...ONE_CALL, calls: cost }),
      gives: { variance: true },
      start,
      at: (lambda): Model<Tensor1D> => (lambda > 5 ? cheap : model),
    });
    return model;
  };
  const cheap: Model<Tensor1D> = defineModel<Tensor1D>({
    predict: (z, lambda, label, memory) => ({
      ...mixture.model.predict(z, lambda, label, null),
      variance: fill(z.shape, 0.25),
      memory: { calls: add((memory as { calls: Tensor }).calls, 1) },
    }),
    cost: () => ONE_CALL,
    gives: { variance: true },
    start,
  });
  const other = classes.of([1, 2, 0]);
  const random = seeded(c, key(1), 3, [3]);
  const wrappers: [string, (m: Model<Tensor1D>) => Model<never>, unknown, calls: number][] = [
    ['classifierFree', (m) => classifierFree(m, classes, 1), c, 3],
    ['classifierFree, split', (m) => classifierFree(m, classes, 1, { evaluation: 'split' }), c, 6],
    ['classifierFree, w = 0', (m) => classifierFree(m, classes, 0), c, 3],
    ['classifierFree with APG', (m) => classifierFree(m, classes, 1, { rule: apg({ momentum: -0.5 }) }), c, 3],
    ['autoguidance', (m) => autoguidance(m, weak, 1), c, 4],
    ['perturbedGuidance', (m) => perturbedGuidance(m, weak, classes, { w: 1, weakWeight: 1 }), c, 4],
    [
      'terms',
      (m) =>
        terms(m, classes, [
          { against: { model: weak }, weight: 1 },
          { against: 'null', weight: 1 },
          { against: { condition: () => other }, weight: interval(1, { lambda: [-9, 4] }) },
        ]),
      c,
      4,
    ],
    ['negative', (m) => negative(m, classes, 1), { condition: c, negative: other }, 3],
    ['composed', (m) => composed(m, classes, [1, 0.5]), [c, other], 3],
    ['cfgPlusPlus', (m) => cfgPlusPlus(m, classes, -0.5), c, 3],
    ['classifierGuidance', (m) => classifierGuidance(m, mixture.logPosterior, 1), c, 4],
    ['posteriorSampling', (m) => posteriorSampling(m, (x) => x, 0.1), { condition: c, measurement: z }, 6],
    ['independentCondition', (m) => independentCondition(m, classes, uniformLabels, 1), random, 3],
    ['timeStepGuidance', (m) => timeStepGuidance(m, classes, 0.5, 1), seeded(c, key(2), 3), 3],
    ['feedbackGuidance', (m) => feedbackGuidance(m, classes, { pi: 0.9, tau: 1, delta: -0.1 }), c, 3],
    ['momentumGuidance', (m) => momentumGuidance(m, 0.5), c, 3],
    [
      'momentum around feedback, split',
      (m) =>
        momentumGuidance(feedbackGuidance(m, classes, { pi: 0.9, tau: 1, delta: -0.1 }, { evaluation: 'split' }), 0.5),
      c,
      6,
    ],
    ['thresholdX', (m) => thresholdX(m, staticThreshold(-9, 9)), c, 3],
    ['zeroInit', (m) => zeroInit(m, -15), c, 3],
    ['withCondition', (m) => withCondition(m, (label: Tensor1D) => label), c, 3],
    [
      'two of them',
      (m) => thresholdX(classifierFree(classifierFree(m, classes, 1), classes, 1), staticThreshold(-9, 9)),
      c,
      3,
    ],
  ];

  test.each(wrappers)('%s', (_, wrap, condition, calls) => {
    const model = wrap(rich()) as Model<unknown>;
    expect(model.gives.variance).toBe(true);
    expect(model.cost(0).calls).toBe(calls);
    const before = model.start(3, [2]);
    const once = model.predict(z, lambda, condition, before);
    const twice = model.predict(z, lambda, condition, once.memory);
    expect(valuesOf(once.variance as Tensor)).toEqual(Array(6).fill(0.25));
    // z = α x̂ + σ ε̂, in whatever prediction the method acts.
    const { alpha, sigma } = alphaSigma(lambda);
    const whole = add(mul(perSample(alpha, z), once.x), mul(perSample(sigma, z), once.eps));
    close(valuesOf(whole), valuesOf(z));
    // The conditional prediction was made twice, so what it remembers says 2 of every sample.
    const counts = tensorsOf(twice.memory)
      .filter((tensor) => tensor.rank === 1)
      .map(valuesOf);
    expect(counts.length).toBeGreaterThan(0);
    expect(counts[0]).toEqual([2, 2, 2]);
    expect(model.at(9)).not.toBe(model);
    expect(model.at(9)).toBe(model.at(8));
    expect(model.at(9).cost(9).calls).toBeLessThan(calls);
    const there = model.at(9).predict(z, tensor1d([9, 9, 9]), condition, once.memory);
    expect(tensorsOf(there.memory).map(({ shape }) => shape)).toEqual(tensorsOf(once.memory).map(({ shape }) => shape));
    dispose([once, twice, there, before].flatMap((tree) => tensorsOf(tree)));
    const compiled = native().jit((memory: Memory) => model.predict(z, lambda, condition, memory));
    const start = model.start(3, [2]);
    const [inGraph, eagerly] = [compiled(start), model.predict(z, lambda, condition, start)];
    tensorsOf(eagerly).forEach((tensor, i) => {
      close(valuesOf(tensorsOf(inGraph)[i] as Tensor), valuesOf(tensor));
    });
    expect(Object.keys(inGraph)).toEqual(Object.keys(eagerly));
    compiled.dispose();
  });

  test.each(wrappers)('%s keeps a second ε̂ to renoise with, or refuses it before any work', (name, wrap, condition) => {
    const two = thresholdX(rich(), staticThreshold(-0.1, 0.1), { keepEps: true });
    if (['thresholdX', 'zeroInit', 'withCondition'].includes(name)) {
      const model = wrap(two) as Model<unknown>;
      expect(model.gives.renoise).toBe(true);
      const made = model.predict(z, lambda, condition, model.start(3, [2]));
      close(valuesOf(made.renoise as Tensor), values(mixture.model));
    } else expect(() => wrap(two)).toThrow(/gives a second ε̂ to renoise with/);
  });
});
