import { expect, test } from 'vitest';
import {
  ddim,
  deis,
  dpmSolverPP2M,
  dpmSolverPP2S,
  dpmSolverPP3M,
  exponentialAB,
  heun,
  lms,
  type Sampler,
  unipc,
  walk,
} from './index.js';
import { lineEps, lineFlow } from './testing/closed-forms.js';

const [first, end] = [-14, 6];
const z = Float64Array.of(-1.3, -0.4, 0.2, 1.1);
// Where a quarter of the walk is left: a sampler may take a lower order at its end.
const exact = lineFlow(z, first, 1);
const noise = () => {
  throw new Error('a deterministic sampler drew noise');
};

function error(sampler: Sampler, steps: number): number {
  const lambdas = Array.from({ length: steps }, (_, i) => first + ((end - first) * i) / steps);
  const numbers = sampler as unknown as Sampler<unknown, Float64Array>;
  for (const { step, z: at } of walk({ sampler: numbers, eps: lineEps, lambdas, end, z, noise }))
    if (step === (3 * steps) / 4) return Math.max(...at.map((value, i) => Math.abs(value - (exact[i] as number))));
  return Number.NaN;
}

const orders = [1, 2, 3];
const samplers = [
  ddim(),
  heun(),
  dpmSolverPP2S(),
  dpmSolverPP2M(),
  dpmSolverPP3M(),
  ...[1, 2, 3, 4].map((order) => lms({ order })),
  ...[1, 2, 3, 4].map((order) => deis({ order })),
  ...[1, 2, 3, 4].map((order) => exponentialAB({ order })),
  exponentialAB({ prediction: 'eps' }),
  ...orders.flatMap((order) => [
    unipc({ order }),
    unipc({ order, variant: 'bh1' }),
    unipc({ order, corrector: false }),
  ]),
] as Sampler[];

test.each(samplers.map((s) => [s.name, s.order, s] as const))('%s converges with order %i', (_, order, sampler) => {
  const measured = Math.log2(error(sampler, 256) / error(sampler, 512));
  expect(Math.abs(measured - order)).toBeLessThan(0.15);
});
