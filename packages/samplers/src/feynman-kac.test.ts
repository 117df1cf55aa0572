import {
  defineModel,
  eager,
  gaussianMixture,
  key,
  labels,
  type Memory,
  type Model,
  type WeightedModel,
} from '@logsnr/core';
import { classifierFree, product, tilted } from '@logsnr/guidance';
import { native } from '@logsnr/tensorflow';
import { add, memory, mul, type Tensor, type Tensor1D, tidy, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import {
  ancestral,
  churn,
  compileSampler,
  ddim,
  dpmSolverPP2M,
  feynmanKac,
  heun,
  type ParticleOptions,
  type ParticleStep,
  type Sampler,
  sample,
  saSolver,
  trajectory,
} from './index.js';

/** Two classes of one Gaussian each in one dimension, so all products of powers are Gaussians. */
const components = [
  { mean: [0.8], std: 0.5 },
  { mean: [-0.4], std: 0.9 },
];
const { model } = gaussianMixture(components);
const classes = labels(2);
const even = (steps: number) => Array.from({ length: steps }, (_, i) => -10 + (20 * i) / (steps - 1));
const valuesOf = (x: Tensor) => tidy(() => [...x.dataSync()]);

/** Mean and variance of the Gaussian ∝ Π p(x|c_i)^{a_i}. */
function exactly(...exponents: number[]) {
  const precision = exponents.reduce((sum, a, i) => sum + a / (components[i]?.std as number) ** 2, 0);
  const pull = exponents.reduce(
    (sum, a, i) => sum + (a * (components[i]?.mean[0] as number)) / (components[i]?.std as number) ** 2,
    0,
  );
  return { mean: pull / precision, variance: 1 / precision };
}

function moments(x: Tensor) {
  const values = valuesOf(x);
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

describe('draws products of powers of Gaussians', () => {
  const particles = 4000;
  const lambdas = even(80);
  const sampler = dpmSolverPP2M({ eta: 1 });
  const condition = (_: number, n: number) => [0, 1].map((label) => classes.of(new Array(n).fill(label)));
  const options = { particles, shape: [1], lambdas, key: key(1), condition };
  /** The larger of the errors of mean and of variance, in standard errors of independent samples. */
  const errorOf = (x: Tensor, exponents: readonly number[]) => {
    const [found, exact] = [moments(x), exactly(...exponents)];
    const mean = Math.abs(found.mean - exact.mean) / Math.sqrt(exact.variance / particles);
    return Math.max(mean, Math.abs(found.variance / exact.variance - 1) / Math.sqrt(2 / particles));
  };

  test.each([[[3, -2]], [[2.5, 0]], [[0.5, 0]], [[0.7, 1.1]]])('exponents %s', (exponents) => {
    const own = { model: product(model, classes, exponents), sampler };
    // Five standard errors, and as much again for what resampling adds.
    expect(errorOf(feynmanKac(own).sample(options), exponents)).toBeLessThan(10);
    const plain = sample({ ...own, shape: [particles, 1], lambdas, key: key(1), condition: condition(0, particles) });
    expect(errorOf(plain, exponents)).toBeGreaterThan(10);
  });

  test.each([-1, 0.5, 1.5])('weights e^{%s log W} do not', (factor) => {
    const right = product(model, classes, [3, -2]);
    const logWeights: typeof right.logWeights = (memory) => mul(right.logWeights(memory), factor);
    const wrong = { ...right, logWeights: (memory: Memory) => tidy(() => logWeights(memory)) };
    const drawn = tidy(() => feynmanKac({ model: wrong, sampler }).sample(options));
    expect(errorOf(drawn, [3, -2])).toBeGreaterThan(10);
  });
});

const small = (more: Partial<ParticleOptions<Tensor1D>> = {}): ParticleOptions<Tensor1D> => ({
  particles: 60,
  populations: 3,
  shape: [1],
  lambdas: even(12),
  key: key(7),
  condition: (first, n) => classes.of(Array.from({ length: n }, (_, i) => Math.floor((first + i) / 60) % 2)),
  ...more,
});
const draw = (
  w: number,
  more: Partial<ParticleOptions<Tensor1D>> = {},
  sampler: Sampler<never> = ancestral() as never,
) => valuesOf(feynmanKac({ model: tilted(model, classes, w), sampler }).sample(small(more)));

/** The kernels' sums depend on how many rows there are, in the last bit. */
function expectClose(found: readonly number[], wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i] as number, 4);
  });
}

describe('all is a function of the key and the numbers of population, particle and step', () => {
  const whole = draw(3);

  test('however the particles are batched, be it within a population', () => {
    for (const batch of [1000, 25, 7]) expectClose(draw(3, { batch }), whole);
  });

  test('in runs of some populations each', () => {
    expect([0, 1, 2].flatMap((p) => draw(3, { populations: 1, firstPopulation: p }))).toEqual(whole);
  });

  test('another key gives others; populations do not depend on one another', () => {
    expect(draw(3, { key: key(8) })).not.toEqual(whole);
    expect(draw(3, { populations: 2 })).toEqual(whole.slice(0, 120));
  });

  test('with a sampler that has a state', () => {
    for (const sampler of [dpmSolverPP2M({ eta: 1 }), saSolver()] as Sampler<never>[])
      expectClose(draw(3, { batch: 13 }, sampler), draw(3, {}, sampler));
  });
});

describe('where weights are equal, the samples are the plain sampler’s, bit for bit', () => {
  const n = 180;
  const options = { lambdas: even(12), key: key(7), shape: [n, 1], condition: small().condition(0, n) };

  test('operation by operation', () => {
    const guided = classifierFree(model, classes, 0);
    expect(draw(0, { threshold: 1, batch: n })).toEqual(
      valuesOf(sample({ ...options, model: guided, sampler: ancestral() })),
    );
  });

  test.each([
    ['native', native()],
    ['eager', eager],
  ])('compiled: %s', (_, runtime) => {
    const own = { model: tilted(model, classes, 0), sampler: ancestral() };
    const [corrected, plain] = [feynmanKac({ ...own, runtime }), compileSampler(runtime, own)];
    expect(valuesOf(corrected.sample(small({ threshold: 1, batch: n })))).toEqual(valuesOf(plain.sample(options)));
    corrected.dispose();
    plain.dispose();
  });

  test('populations of one particle', () => {
    const plain = sample({ ...options, model: classifierFree(model, classes, 3), sampler: ancestral() });
    const one = { particles: 1, populations: n, batch: 50, threshold: 1 };
    expectClose(draw(3, one), valuesOf(plain));
  });
});

test('compiled, the particles are the same to rounding', () => {
  const corrected = feynmanKac({
    model: tilted(model, classes, 3),
    sampler: dpmSolverPP2M({ eta: 1 }),
    runtime: native(),
  });
  const found = valuesOf(corrected.sample(small()));
  expectClose(found, draw(3, {}, dpmSolverPP2M({ eta: 1 }) as never));
  corrected.dispose();
});

describe('resampling', () => {
  const told = (threshold: number) => {
    const steps: ParticleStep[] = [];
    draw(3, { threshold, onStep: (step) => steps.push(step) });
    return steps;
  };

  test('is when the effective size is below its share, and at the end', () => {
    const steps = told(0.5);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(steps[0]).toMatchObject({ effective: [60, 60, 60], resampled: [false, false, false], steps: 12 });
    for (const { effective, resampled } of steps.slice(0, -1))
      expect(resampled).toEqual(effective.map((size) => size < 30));
    expect(steps.slice(0, -1).some(({ resampled }) => resampled.includes(true))).toBe(true);
    expect(steps.at(-1)?.resampled).toEqual([true, true, true]);
  });

  test('0 is at the end alone, 1 at every step with unequal weights', () => {
    expect(told(0).map(({ resampled }) => resampled.includes(true))).toEqual([...new Array(11).fill(false), true]);
    expect(told(1).map(({ resampled }) => resampled.includes(false))).toEqual([true, ...new Array(11).fill(false)]);
  });
});

/** A model of log weights that are set by hand, one for each particle, at every call. */
const withWeights = (of: (values: Tensor) => Tensor): WeightedModel<Tensor1D> => {
  const inner = tilted(model, classes, 1);
  const broken: Model<Tensor1D> = defineModel({
    predict(z, lambda, condition, before) {
      const { renoise: _, variance: __, ...made } = inner.predict(z, lambda, condition, before);
      return { ...made, memory: inner.withLogWeights(made.memory, of(inner.logWeights(made.memory)) as Tensor1D) };
    },
    cost: inner.cost,
    start: inner.start,
  });
  const { logWeights, withLogWeights, startStd } = inner;
  return Object.assign(broken, { logWeights, withLogWeights, startStd });
};

describe('weights that say nothing', () => {
  const run = (of: (values: Tensor) => Tensor) =>
    feynmanKac({ model: withWeights(of), sampler: ancestral() }).sample(small({ populations: 1, firstPopulation: 4 }));

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s is refused, with its place', (bad) => {
    const before = memory().numTensors;
    expect(() => run((values) => mul(add(values, 1), bad))).toThrow(
      new RegExp(`^the log weight of particle 0 of population 4 after step 1, to λ = -8.18.* is ${bad}; it must be`),
    );
    // The condition of these populations is the only tensor that a run gets, and it is freed.
    expect(memory().numTensors).toBe(before);
  });

  test('all 0 is refused', () => {
    expect(() => run((values) => add(values, Number.NEGATIVE_INFINITY))).toThrow(
      /^all weights of population 4 after step 1, to λ = -8.18.* are 0; take more particles/,
    );
  });
});

test('options are checked before any work', () => {
  const asked: number[] = [];
  const with_ = (more: object) => () =>
    draw(1, { condition: (first, n) => classes.of(new Array(asked.push(first) && n).fill(0)), ...more });
  expect(with_({ particles: 0 })).toThrow('particles is 0; it must be an integer of at least 1');
  expect(with_({ batch: 1.5 })).toThrow('batch is 1.5');
  expect(with_({ populations: -1 })).toThrow('populations is -1');
  expect(with_({ firstPopulation: -1 })).toThrow('firstPopulation is -1');
  expect(with_({ threshold: 1.1 })).toThrow('threshold is 1.1; it must lie in [0, 1]');
  expect(() => draw(1, {}, heun() as never)).toThrow(
    'the sampler "heun" does not call the model once a step, at the step\'s beginning, where the weights need it; take such as ancestral()',
  );
  expect(asked).toEqual([]);
  expect(() => draw(1, {}, churn(ddim()) as never)).toThrow(/does not call the model once a step/);
});

test('no tensor is left, nor after an error', () => {
  const options = small({ batch: 50 });
  const corrected = feynmanKac({ model: product(model, classes, [2, 1]), sampler: dpmSolverPP2M({ eta: 1 }) });
  const condition = (first: number, n: number) => [0, 1].map(() => options.condition(first, n));
  expectNoLeak(() => corrected.sample({ ...options, condition }));
  expectNoLeak(() => {
    expect(() =>
      corrected.sample({
        ...options,
        condition,
        onStep({ step }) {
          if (step === 9) throw new Error('enough');
        },
      }),
    ).toThrow('enough');
  });
});

test('whoever drives a walk may replace what it carries', () => {
  const options = {
    model,
    condition: classes.of([0, 1]),
    lambdas: even(6),
    shape: [2, 1],
    key: key(1),
    sampler: ddim(),
  };
  const origin = zeros([2, 1]);
  expectNoLeak(() => {
    const walk = trajectory(options);
    let step = walk.next();
    while (!step.done) {
      const { carried, step: number } = step.value;
      const other = number === 3 ? { ...carried, z: mul(carried.z, 0) } : undefined;
      step = walk.next(other);
      if (other && !step.done) {
        const one = trajectory({ ...options, lambdas: even(6).slice(3), z: origin });
        expect(valuesOf(step.value.z)).toEqual(valuesOf((one.next().value as { z: Tensor }).z));
        one.return();
      }
    }
  });
});
