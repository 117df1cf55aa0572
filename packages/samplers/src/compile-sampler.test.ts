import { type Compile, type EpsModel, fold, gaussianMixture, key, labels } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { arctan, grid } from '@logsnr/schedules';
import { compile } from '@logsnr/tensorflow';
import { abs, max, neg, sub, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
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
  step(eps, z, from, to, { before }, noise) {
    const [last] = before;
    const mixed: typeof eps = (z, lambda) => eps(z, lambda);
    const now = ddim().step(mixed, z, from, to, null, noise);
    const again = last ? ancestral().step(() => last, now.z, from, to, null, noise).z : now.z;
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
    const compiled = compileSampler(compile, { model, sampler });
    expect(difference(compiled.sample(options), eager)).toBeLessThan(1e-3);
    expect(difference(compiled.sample(options), eager)).toBeLessThan(1e-3);
    compiled.dispose();
  });

  test('leaks nothing', () => {
    const compiled = compileSampler(compile, { model, sampler });
    expectNoLeak(() => compiled.sample(options));
    compiled.dispose();
  });
});

test('one graph serves all steps but the last', () => {
  const programs = new Set<string>();
  const counting: Compile =
    (fn) =>
    (...args) => {
      programs.add(JSON.stringify(args[0]));
      return fn(...args);
    };
  compileSampler(counting, { model, sampler: ancestral() }).sample({ ...options, lambdas: grid(arctan(), 30) });
  expect(programs.size).toBe(2);
  programs.clear();
  compileSampler(counting, { model, sampler: ddim() }).sample({ ...options, lambdas: grid(arctan(), 30) });
  expect(programs.size).toBe(1);
});

test('a recorded step holds the model calls, the coefficients and nothing else', () => {
  const { program, numbers, draws } = recordStep(ancestral() as Sampler<unknown>, -2, 1, null);
  expect(program).toEqual({ instructions: [{ eps: 0 }, { noise: 0 }, { combine: [0, 1, 2] }], results: [3] });
  expect([numbers.length, numbers[0], draws]).toEqual([4, -2, 1]);
});

test('a step that does more than it may is refused by name', () => {
  const odd: Sampler<null> = { ...ddim(), name: 'odd', step: (_eps, z, _from, _to, state) => ({ z: neg(z), state }) };
  const plain: EpsModel<Tensor1D> = (z) => z.clone();
  expect(() => compileSampler(compile, { model: plain, sampler: odd }).sample(options)).toThrow(
    /the step of the sampler "odd" cannot be compiled: .* Compile the model instead/,
  );
});
