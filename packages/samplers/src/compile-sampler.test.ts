import {
  type EpsFunction,
  eager,
  fold,
  gaussianMixture,
  key,
  labels,
  type Model,
  ONE_CALL,
  type Runtime,
  readModel,
} from '@logsnr/core';
import { apg, classifierFree, interval } from '@logsnr/guidance';
import { arctan, grid } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import { abs, concat, fill, max, neg, slice, sub, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import {
  ancestral,
  compileSampler,
  ddim,
  dpmSolverPP3M,
  edmStochastic,
  heun,
  lms,
  restart,
  type Sampler,
  sample,
  sampleMany,
  saSolver,
  unipc,
} from './index.js';
import { recordStep } from './program.js';

const mixture = gaussianMixture([
  { mean: [-1, 0], std: 0.3 },
  { mean: [1, 0.6], std: 0.2 },
]);
const classes = labels(2);
const model = classifierFree(mixture.model, classes, 1.5);
const condition = classes.of([0, 1, 1]);
const options = { condition, lambdas: grid(arctan(), 12), shape: [3, 2], key: fold(key(4), 1) };
const difference = (a: Tensor, b: Tensor) => max(abs(sub(a, b))).dataSync()[0] as number;

/** A two-step method with a state: the ε̂ before, extrapolated (Adams–Bashforth), to see states travel. */
const twoStep: Sampler<{ before: Tensor[] }> = {
  name: 'two-step',
  order: 2,
  init: () => ({ before: [] }),
  step(context, { before }) {
    const [last] = before;
    const now = ddim().step(context, null);
    const same = { x: last as Tensor, eps: last as Tensor, renoise: null, variance: null };
    const again = last ? ancestral().step({ ...context, z: now.z, predict: () => same }, null).z : now.z;
    return { z: again, state: { before: [now.z] } };
  },
};

describe.each([
  ['ancestral', ancestral({ v: 0.3 })],
  ['ddim', ddim()],
  ['ddim, η = 1', ddim({ eta: 1 })],
  ['a sampler with a state', twoStep],
  ['unipc', unipc({ order: 3 })],
  ['linear multistep', lms()],
  ['SDE-DPM-Solver++(3M)', dpmSolverPP3M({ eta: 1 })],
  ['SA-Solver', saSolver()],
  ['EDM’s churn', edmStochastic()],
  ['Restart', restart(heun(), [{ from: -2, to: 0, times: 2 }])],
] as [string, Sampler<unknown>][])('%s', (_, sampler) => {
  test('gives the samples of eager sampling', () => {
    const eager = sample({ ...options, model, sampler });
    const compiled = compileSampler(native(), { model, sampler });
    expect(difference(compiled.sample(options), eager)).toBeLessThan(1e-3);
    expect(difference(compiled.sample(options), eager)).toBeLessThan(1e-3);
    compiled.dispose();
  });

  test('leaks nothing', () => {
    const compiled = compileSampler(native(), { model, sampler });
    expectNoLeak(() => compiled.sample(options));
    compiled.dispose();
  });
});

test('one graph serves all steps but the last', () => {
  const programs = new Set<string>();
  const counting: Runtime = {
    ...eager,
    jit: (fn) =>
      eager.jit((...args) => {
        programs.add(JSON.stringify(args[0]));
        return fn(...args);
      }),
  };
  compileSampler(counting, { model, sampler: ancestral() }).sample({ ...options, lambdas: grid(arctan(), 30) });
  expect(programs.size).toBe(2);
  programs.clear();
  compileSampler(counting, { model, sampler: ddim() }).sample({ ...options, lambdas: grid(arctan(), 30) });
  expect(programs.size).toBe(1);
});

test('a recorded step holds the model calls, the coefficients and nothing else', () => {
  const place = { from: -2, to: 1, index: 0, points: [-2, 1] };
  const model = { gives: { renoise: false, variance: false }, variantOf: () => 3 };
  const { program, numbers, draws } = recordStep(ancestral() as Sampler<unknown>, place, null, model);
  expect(program).toEqual({
    instructions: [{ predict: 0, model: 3 }, { noise: 0 }, { combine: [1, 2, 3] }],
    results: [4],
  });
  expect([numbers.length, numbers[0], draws]).toEqual([4, -2, 1]);
});

test('a step that does more than it may is refused by name', () => {
  const odd: Sampler<null> = { ...ddim(), name: 'odd', step: ({ z }, state) => ({ z: neg(z), state }) };
  const plain: EpsFunction<Tensor1D> = (z) => z.clone();
  expect(() => compileSampler(native(), { model: plain, sampler: odd }).sample(options)).toThrow(
    /the step of the sampler "odd" cannot be compiled: .* Sample with it operation by operation/,
  );
});

describe('guidance in an interval', () => {
  const { counted, count } = (() => {
    const count = { calls: 0, samples: 0 };
    const counted = readModel<Tensor1D>((z, lambda, c) => {
      count.calls++;
      count.samples += z.shape[0] as number;
      return mixture.model.predict(z, lambda, c, null).eps;
    });
    return { counted, count };
  })();
  const lambdas = [-4, -2, 0, 2, 4];
  const narrow = { condition, lambdas, shape: [3, 2], key: key(2) };

  test('∅ is not evaluated where w(λ) is 0, eager and compiled: two graphs serve', () => {
    const guided = classifierFree(counted, classes, interval(2, { lambda: [-1, 1] }));
    const eagerly = sample({ ...narrow, model: guided, sampler: ddim() });
    expect(count).toEqual({ calls: 5, samples: 4 * 3 + 6 });
    Object.assign(count, { calls: 0, samples: 0 });
    const compiled = compileSampler(native(), { model: guided, sampler: ddim() });
    expect(difference(compiled.sample(narrow), eagerly)).toBeLessThan(1e-4);
    // The model is called while a graph is captured: once for the unguided steps, once for the guided one.
    expect(count).toEqual({ calls: 2, samples: 3 + 6 });
    compiled.dispose();
  });

  test('a plain function of λ works eagerly, and compiled where it is 0', () => {
    const model = classifierFree(mixture.model, classes, (lambda) => (lambda > 100 ? 1 : 0));
    const compiled = compileSampler(native(), { model, sampler: ddim() });
    const plain = sample({ ...narrow, model: mixture.model, sampler: ddim() });
    expect(difference(compiled.sample(narrow), plain)).toBeLessThan(1e-4);
    expect([...compiled.trajectory(narrow)].map(({ cost }) => cost)).toEqual(Array(5).fill(ONE_CALL));
    compiled.dispose();
  });
});

describe('a model that remembers', () => {
  const model = classifierFree(mixture.model, classes, 2, { rule: apg({ momentum: -0.5 }) });
  const forgets = classifierFree(mixture.model, classes, 2, { rule: apg() });
  const lambdas = [-4, -2, 0, 2, 4];
  const narrow = { lambdas, shape: [3, 2], key: key(2), condition };

  test('its memory goes from step to step, eager and compiled, and splits with the batch', () => {
    const whole = sample({ ...narrow, model, sampler: heun() });
    expect(difference(whole, sample({ ...narrow, model: forgets, sampler: heun() }))).toBeGreaterThan(1e-2);
    const compiled = compileSampler(native(), { model, sampler: heun() });
    expect(difference(compiled.sample(narrow), whole)).toBeLessThan(1e-4);
    expectNoLeak(() => compiled.sample(narrow));
    compiled.dispose();
    const rows = [0, 1, 2].map((i) =>
      sample({
        ...narrow,
        model,
        sampler: heun(),
        shape: [1, 2],
        condition: slice(condition, i, 1),
        firstSample: i,
      }),
    );
    expect(difference(concat(rows), whole)).toBeLessThan(1e-5);
    expectNoLeak(() => sample({ ...narrow, model, sampler: heun() }));
  });
});

describe('a learned variance', () => {
  const lambdas = [-4, -2, 0, 2, 4];
  const narrow = { lambdas, shape: [3, 2], key: key(2), condition };
  const learned = (v: number) =>
    readModel<Tensor1D>(
      (z, lambda, c) => ({ output: mixture.model.predict(z, lambda, c, null).eps, variance: fill(z.shape, v) }),
      { variance: true },
    );

  test('takes the place of v in ancestral sampling, eager and compiled, guided and not', () => {
    const plain = readModel<Tensor1D>((z, lambda, c) => mixture.model.predict(z, lambda, c, null).eps);
    const ways: (<C>(model: Model<C>) => Model<C>)[] = [(m) => m, (m) => classifierFree(m, classes as never, 1)];
    for (const v of [0, 0.3, 1])
      for (const guided of ways) {
        const model = guided(learned(v));
        expect(model.gives.variance).toBe(true);
        const expected = sample({ ...narrow, model: guided(plain), sampler: ancestral({ v }) });
        const found = sample({ ...narrow, model, sampler: ancestral({ v: 0.5 }) });
        expect(difference(found, expected)).toBeLessThan(1e-5);
        const compiled = compileSampler(native(), { model, sampler: ancestral() });
        expect(difference(compiled.sample(narrow), expected)).toBeLessThan(1e-4);
        compiled.dispose();
      }
  });
});

test('sampleMany gives the samples of the whole, in batches, and tells how far it is', () => {
  const draw = compileSampler(eager, { model, sampler: ancestral() });
  const many = { draw, lambdas: [-4, 0, 4], shape: [2], key: key(3), samples: 7 };
  const conditionOf = (first: number, n: number) => classes.of(Array.from({ length: n }, (_, i) => (first + i) % 2));
  const told: number[] = [];
  const parts = sampleMany({ ...many, condition: conditionOf, batch: 3, onProgress: (done) => void told.push(done) });
  const whole = sampleMany({ ...many, condition: conditionOf });
  expect([parts.shape, told]).toEqual([
    [7, 2],
    [3, 6, 7],
  ]);
  expect(difference(parts, whole)).toBeLessThan(1e-5);
  expectNoLeak(() => sampleMany({ ...many, condition: conditionOf, batch: 3 }));
  expect(() => sampleMany({ ...many, condition: conditionOf, samples: 0 })).toThrow(/samples is 0/);
});
