import { zeros } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import {
  ancestral,
  churn,
  ddim,
  ddpm,
  dpmSolver2Ancestral,
  dpmSolverPP2M,
  dpmSolverPP2S,
  dpmSolverPP2SAncestral,
  dpmSolverPP3M,
  edmStochastic,
  eulerAncestral,
  heun,
  repaint,
  restart,
  type Sampler,
  saSolver,
} from './index.js';
import { expectPassed, testSampler } from './testing.js';

const interval = { from: -2, to: 0, times: 3 };
const samplers = [
  ancestral({ v: 0.3 }),
  ddim({ eta: 0.5 }),
  ddpm(),
  ddpm({ variance: 'large' }),
  eulerAncestral(),
  dpmSolver2Ancestral(),
  dpmSolverPP2SAncestral(),
  dpmSolverPP2S({ eta: 1 }),
  dpmSolverPP2M({ eta: 1 }),
  dpmSolverPP3M({ eta: 1 }),
  churn(heun()),
  edmStochastic(),
  restart(ddim(), [interval]),
  restart(heun(), [interval, { from: 1, to: 3, times: 1 }]),
  restart(dpmSolverPP2M(), [interval]),
  saSolver(),
  saSolver({ predictor: 2, corrector: 0 }),
  saSolver({ predictor: 2, corrector: 1, tau: (lambda) => Math.exp(-(lambda ** 2) / 8) }),
] as Sampler[];

test.each(samplers.map((sampler) => [sampler.name, sampler] as const))('%s passes the kit', (_, sampler) => {
  expect(expectPassed(testSampler(sampler)).checks.length).toBeGreaterThanOrEqual(12);
});

test('repaint passes the kit where all is to be painted', () => {
  const [known, mask] = [zeros([1, 2]), zeros([1, 2])];
  expectPassed(testSampler(repaint(ancestral(), { known, mask, times: 2, jump: 2 }), { numbers: false }));
});
