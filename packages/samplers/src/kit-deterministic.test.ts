import { expect, test } from 'vitest';
import {
  adaptive,
  ddim,
  deis,
  dpmSolver2,
  dpmSolverPP2M,
  dpmSolverPP2S,
  dpmSolverPP3M,
  euler,
  exponentialAB,
  heun,
  lms,
  pndm,
  type Sampler,
  saSolver,
  unipc,
} from './index.js';
import { expectPassed, testSampler } from './testing.js';

const orders = [1, 2, 3];
const samplers = [
  ddim(),
  euler(),
  heun(),
  dpmSolver2(),
  dpmSolverPP2S(),
  dpmSolverPP2M(),
  dpmSolverPP3M(),
  ...orders.flatMap((order) => [
    unipc({ order }),
    unipc({ order, variant: 'bh1' }),
    unipc({ order, corrector: false }),
  ]),
  ...[2, 3, 4].map((order) => lms({ order })),
  ...[2, 3, 4].map((order) => deis({ order })),
  exponentialAB({ order: 4 }),
  ...[2, 3].map((order) => exponentialAB({ order, prediction: 'eps' })),
  saSolver({ tau: 0 }),
  adaptive(),
] as Sampler[];

test.each(samplers.map((sampler) => [sampler.name, sampler] as const))('%s passes the kit', (_, sampler) => {
  expect(expectPassed(testSampler(sampler)).checks.length).toBeGreaterThanOrEqual(11);
});

test('pndm passes the kit with equal steps, for which its coefficients are made, and fails with others', () => {
  expectPassed(testSampler(pndm(), { equalSteps: true }));
  expect(testSampler(pndm(), { only: ['marginals'] }).passed).toBe(false);
});
