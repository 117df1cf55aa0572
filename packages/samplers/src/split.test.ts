import { alpha, defineModel, gaussianMixture, key, labels, sigma } from '@logsnr/core';
import { clipX } from '@logsnr/guidance';
import { native } from '@logsnr/tensorflow';
import { abs, max, mul, sub, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { ancestral, compileSampler, ddim, modelCalls, type Sampler, sample, trajectory, walk } from './index.js';
import { estimates } from './testing/runs.js';

const { model } = gaussianMixture([
  { mean: [-1, 0], std: 0.3 },
  { mean: [1, 0.6], std: 0.2 },
]);
const condition = labels(2).of([0, 1]);
/** CFG++: denoises with one ε̂ and renoises with another, here ε̂ and 0.9 ε̂. */
const split = defineModel<Tensor1D>({
  predict(z, lambda, c, memory) {
    const made = model.predict(z, lambda, c, memory);
    return { ...made, renoise: mul(made.eps, 0.9) };
  },
  cost: model.cost,
  gives: { renoise: true },
});
const options = { model: split, condition, lambdas: [-3, -1, 0.5, 2], shape: [2, 2], key: key(1) };
const difference = (a: Tensor, b: Tensor) => max(abs(sub(a, b))).dataSync()[0] as number;

describe('a model that gives a second ε̂ to renoise with', () => {
  test.each([ddim({ eta: 0.5 }), ancestral({ v: 0.3 })].map((s) => [s.name, s] as const))('%s', (_, sampler) => {
    const eager = sample({ ...options, sampler });
    const compiled = compileSampler(native(), { model: split, sampler });
    expect(difference(compiled.sample(options), eager)).toBeLessThan(1e-5);
    compiled.dispose();
    expect(difference(sample({ ...options, model, sampler }), eager)).toBeGreaterThan(1e-2);
    expectNoLeak(() => sample({ ...options, sampler }));
  });

  test.each([
    ['ddim', ddim<Float64Array>()],
    ['ancestral', ancestral<Float64Array>()],
  ])('%s denoises with one and renoises with the other, by hand', (name, sampler) => {
    const predict = estimates(() => Float64Array.of(0.3), { renoise: () => Float64Array.of(-0.2) });
    const noise = () => Float64Array.of(0);
    const [from, to, z] = [-1, 0.5, 0.7];
    const x = (z - sigma(from) * 0.3) / alpha(from);
    // For ancestral sampling the direction is what the posterior's mean keeps of z.
    const direction = name === 'ddim' ? sigma(to) : (Math.exp(from - to) * alpha(to) * sigma(from)) / alpha(from);
    const [step] = [...walk({ sampler, predict, lambdas: [from], end: to, z: Float64Array.of(z), noise })];
    expect(step?.z[0]).toBeCloseTo(alpha(to) * x - 0.2 * direction, 12);
  });

  test('is refused by a sampler that does not use them, before any work', () => {
    const plain: Sampler<null> = { ...ddim(), name: 'plain', renoises: false };
    expect(() => trajectory({ ...options, sampler: plain })).toThrow(
      /gives a second ε̂ to renoise with .* which the sampler "plain" does not use; take one with `renoises`/,
    );
  });
});

describe('the end of a walk', () => {
  test('is clean data, or z at a finite λ', () => {
    const steps = [...trajectory({ ...options, model, sampler: ddim(), end: 4 })].map(({ lambda }) => lambda);
    expect(steps).toEqual([-1, 0.5, 2, 4]);
    const half = sample({ ...options, model, sampler: ddim(), lambdas: [-3, -1], end: 0.5 });
    const whole = sample({ ...options, model, sampler: ddim() });
    expect(difference(sample({ ...options, model, sampler: ddim(), lambdas: [0.5, 2], z: half }), whole)).toBe(0);
  });

  test('may repeat the last λ, but not lie below it', () => {
    const there = sample({ ...options, model, sampler: ddim(), end: 2 });
    const longer = sample({ ...options, model, sampler: ddim(), lambdas: [-3, -1, 0.5], end: 2 });
    expect(difference(there, longer)).toBeLessThan(1e-6);
    for (const end of [1, Number.NaN])
      expect(() => trajectory({ ...options, model, sampler: ddim(), end })).toThrow(/end is .*; it must be at least/);
  });

  test('is told to init, with the whole grid', () => {
    let told: readonly number[] = [];
    const sampler: Sampler<null> = {
      ...ddim(),
      init(_, lambdas) {
        told = lambdas;
        return null;
      },
    };
    sample({ ...options, model: clipX(model), sampler });
    expect(told).toEqual([-3, -1, 0.5, 2, Number.POSITIVE_INFINITY]);
  });
});

test('the model calls of a walk, as declared', () => {
  expect(modelCalls(ddim(), [-1, 0, 1])).toBe(3);
  const heunLike: Sampler<null> = {
    ...ddim(),
    calls: (index, points) => (points[index + 1] === Number.POSITIVE_INFINITY ? 1 : 2),
  };
  expect([modelCalls(heunLike, [-1, 0, 1]), modelCalls(heunLike, [-1, 0, 1], 2)]).toEqual([5, 6]);
  const { calls: _, ...undeclared } = ddim();
  expect(modelCalls(undeclared, [0])).toBeUndefined();
});
