import { readFileSync } from 'node:fs';
import { alpha, alphaRatio, combine, posterior, sigma, transition } from '@logsnr/core';
import { add, keep, mean, mul, neg, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { dataMove, dataOf } from './exact-moves.js';
import {
  ancestral,
  ancestralOf,
  churn,
  ddim,
  dpmSolver2,
  dpmSolverPP2M,
  dpmSolverPP3M,
  exponentialAB,
  heun,
  restart,
  type Sampler,
  saSolver,
  unipc,
} from './index.js';
import { type CheckName, expectPassed, testSampler } from './testing.js';

/** A sampler with another step, which still claims what it claimed. */
const wrong = <S>(sampler: Sampler<S>, step: Sampler<S>['step']): Sampler<S> => ({ ...sampler, step });
const half = <S>(state: S, a: Tensor, b: Tensor) => ({ z: combine([0.5, a], [0.5, b]), state });
const gain = (from: number, to: number) => -Math.expm1(from - to);

/** The ancestral step with a standard deviation of one's own. */
const withStd = (std: (from: number, to: number) => number) =>
  wrong(ancestral(), (eps, z, from, to, state, noise) => {
    const still = ddim({ eta: 1 }).step(eps, z, from, to, state, () => combine([0, z]));
    return { z: to === Number.POSITIVE_INFINITY ? still.z : combine([1, still.z], [std(from, to), noise()]), state };
  });

/** DPM-Solver++(2M) for equal steps alone, r = 1, or with the first x̂ for ever. */
const twoM = (fault: 'equal' | 'stale'): Sampler<{ past: { lambda: number; x: Tensor }[] }> => ({
  ...dpmSolverPP2M(),
  splits: false,
  init: () => ({ past: [] }),
  step(eps, z, from, to, { past }) {
    const x = dataOf(eps, z, from);
    const [move, before] = [dataMove(from, to), past[0]];
    if (!before || to === Number.POSITIVE_INFINITY)
      return { z: combine([move.z, z], [move.x, x]), state: { past: [{ lambda: from, x }] } };
    const r = (from - before.lambda) / (to - from);
    const share = fault === 'equal' ? 1 / 2 : 1 / (2 * r);
    return {
      z: combine([move.z, z], [move.x * (1 + share), x], [-move.x * share, before.x]),
      state: { past: fault === 'stale' ? past : [{ lambda: from, x }] },
    };
  },
});

let seen = 0;
let kept: Tensor | undefined;

const mutations: [what: string, sampler: Sampler<never>, caught: CheckName, says: RegExp][] = [
  ['UniPC’s corrector dropped', { ...unipc({ corrector: false }), order: 3 }, 'order', /is order 2.*; declared: 3/],
  [
    'SA-Solver’s corrector dropped',
    { ...saSolver({ corrector: 0, predictor: 2, tau: 0 }), order: 3 },
    'order',
    /order/,
  ],
  ['Heun’s second half dropped', wrong(heun(), ddim().step), 'order', /order 0.999; declared: 2/],
  ['the same, as its calls show', wrong(heun(), ddim().step), 'calls', /calls the model 12 times; `calls` declares 23/],
  [
    'the posterior’s variance as a standard deviation',
    withStd((a, b) => posterior(a, b).variance),
    'order',
    /variance/,
  ],
  ['the forward variance of the other end', withStd((a, b) => gain(a, b) * sigma(a)), 'order', /The error stays/],
  ['the marginal’s variance for the posterior’s', withStd((_, b) => sigma(b)), 'marginals', /the data have/],
  ['noise left out', withStd(() => 0), 'order', /The error stays/],
  [
    'λ’s sign swapped for the model',
    wrong(ddim(), (eps, z, from, ...rest) => ddim().step((x, lambda) => eps(x, -lambda), z, from, ...rest)),
    'point mass',
    /x̂ is exact there/,
  ],
  [
    'λ’s sign swapped in the step',
    wrong(ddim(), (eps, z, from, to, state) => {
      const x = combine([1 / alpha(from), z], [-sigma(from) / alpha(from), eps(z, from)]);
      if (to === Number.POSITIVE_INFINITY) return { z: x, state };
      return { z: combine([alpha(-to), x], [sigma(-to), eps(z, from)]), state };
    }),
    'order',
    /The error stays/,
  ],
  [
    'the papers’ λ, half of ours, taken for ours',
    wrong(dpmSolver2(), (eps, z, from, to, ...rest) =>
      dpmSolver2().step((x, lambda) => eps(x, lambda / 2), z, from, to, ...rest),
    ),
    'point mass',
    /x̂ is exact there/,
  ],
  [
    'one noise for all steps',
    {
      ...ancestral(),
      init: () => ({ noise: [] as Tensor[] }),
      step(eps, z, from, to, state, noise) {
        const [n] = state.noise.length > 0 ? state.noise : [noise()];
        const next = ancestral().step(eps, z, from, to, null, () => combine([1, n as Tensor]));
        return { z: next.z, state: { noise: [n as Tensor] } };
      },
    } satisfies Sampler<{ noise: Tensor[] }>,
    'order',
    /The error stays/,
  ],
  [
    'one noise for the two draws of a step',
    wrong(churn(ancestral()), (eps, z, from, to, state, noise) => {
      const n = noise();
      return churn(ancestral()).step(eps, z, from, to, state, () => combine([1, n]));
    }),
    'order',
    /The error stays/,
  ],
  [
    'noise that the key does not decide',
    wrong(ancestral(), (eps, z, from, to, state, noise) =>
      ancestral().step(eps, z, from, to, state, () => combine([Math.sin(++seen), noise()])),
    ),
    'seeds',
    /all noise must come from `noise`/,
  ],
  [
    'noise after the last model call',
    wrong(ancestral(), (eps, z, from, to, state, noise) => {
      const next = ancestral().step(eps, z, from, to, state, noise);
      return to === Number.POSITIVE_INFINITY ? { z: combine([1, next.z], [0.02, noise()]), state } : next;
    }),
    'last step',
    /the result is x̂ with noise on it/,
  ],
  [
    'z at the last λ for x̂',
    wrong(ddim(), (eps, z, from, to, state, noise) =>
      to === Number.POSITIVE_INFINITY ? { z: combine([1, z]), state } : ddim().step(eps, z, from, to, state, noise),
    ),
    'point mass',
    /the last step must end at x̂/,
  ],
  [
    'churn’s noise without its way back in λ',
    wrong(churn(heun()), (eps, z, from, to, state, noise) => {
      const noisy = combine([1, z], [0.3 * sigma(from), noise()]);
      return { z: heun().step(eps, noisy, from, to, null, noise).z, state };
    }),
    'order',
    /The error stays/,
  ],
  [
    'an ancestral step that does not go below first',
    wrong(ancestralOf(dpmSolver2()), (eps, z, from, to, state, noise) => {
      const next = dpmSolver2().step(eps, z, from, to, state, noise);
      if (to === Number.POSITIVE_INFINITY) return next;
      return { z: combine([1, next.z], [sigma(to) * Math.sqrt(gain(from, to)), noise()]), state };
    }),
    'order',
    /The error stays/,
  ],
  [
    'a restart that raises the noise of z and leaves z as large',
    wrong(restart(ddim(), []), (eps, z, from, to, state, noise) => {
      const next = ddim().step(eps, z, from, to, null, noise);
      if (!(from < 0 && to >= 0 && to < 5)) return { z: next.z, state };
      const back = combine([1, next.z], [Math.sqrt(transition(to, -2).variance), noise()]);
      return { z: ddim().step(eps, back, -2, to, null, noise).z, state };
    }),
    'order',
    /The error stays/,
  ],
  [
    '3M with the published weight of its second difference',
    wrong(dpmSolverPP3M(), (...args) => {
      const full = dpmSolverPP3M().step(...args);
      return half(full.state, full.z, exponentialAB({ order: 2 }).step(...args).z);
    }),
    'order',
    /is order 2.*; declared: 3/,
  ],
  ['2M’s r taken as 1', twoM('equal') as Sampler<never>, 'order', /declared: 2/],
  ['2M’s x̂ before, never renewed', twoM('stale') as Sampler<never>, 'order', /lost or stale|The error stays/],
  [
    'the two parts of ε̂ swapped',
    wrong(ddim(), (eps, z, from, to, state, noise) => {
      const swapped = Object.assign((x: Tensor, lambda: number) => eps(x, lambda), {
        split: (x: Tensor, lambda: number) => {
          const parts = eps.split?.(x, lambda) ?? { denoise: eps(x, lambda), renoise: eps(x, lambda) };
          return { denoise: parts.renoise, renoise: parts.denoise };
        },
      });
      return ddim().step(swapped, z, from, to, state, noise);
    }),
    'split',
    /x̂ must come from `denoise`/,
  ],
  [
    'z changed in place',
    wrong(ddim(), (eps, z, from, to, state, noise) => {
      const next = ddim().step(eps, z, from, to, state, noise);
      if (z instanceof Float64Array) z.fill(0);
      return next;
    }),
    'borrowing',
    /changes z or its state; z and the state are borrowed/,
  ],
  [
    'a sample that sees its batch',
    wrong(ddim(), (eps, z, from, to, state, noise) => {
      const { z: next } = ddim().step(eps, z, from, to, state, noise);
      return { z: add(next, mul(mean(z, 0, true), 1e-2)), state };
    }),
    'batches',
    /A sample may depend on itself and its own noise alone/,
  ],
  [
    'a tensor kept',
    wrong(ddim(), (eps, z, from, to, state, noise) => {
      kept = keep(neg(z));
      return ddim().step(eps, z, from, to, state, noise);
    }),
    'leaks',
    /leaves 6 tensors/,
  ],
  [
    'a step that cannot be recorded',
    wrong(ddim(), (eps, z, from, to, state, noise) => {
      const next = ddim().step(eps, z, from, to, state, noise);
      return { z: neg(neg(next.z)), state };
    }),
    'compiles',
    /declare `compiles: false`/,
  ],
  [
    'a step on tensors alone',
    wrong(ddim(), (eps, z, from, to, state) => ({ z: mul(add(z, eps(z, from)), alphaRatio(from, to)), state })),
    'float64',
    /give the option { numbers: false }/,
  ],
] as never;

test.each(mutations)('caught: %s', (_, sampler, caught, says) => {
  const { checks } = testSampler(sampler, { only: [caught] });
  expect(checks).toMatchObject([{ name: caught, passed: false }]);
  expect(checks[0]?.message).toMatch(says);
  kept?.dispose();
});

test('docs/samplers.md lists these mistakes and what catches them', () => {
  const docs = readFileSync(new URL('../../../docs/samplers.md', import.meta.url), 'utf8');
  const listed =
    docs
      .split('| mistake')[1]
      ?.match(/^\| .* \|$/gm)
      ?.slice(1) ?? [];
  const squeezed = listed.map((row) => row.replace(/ +/g, ' '));
  expect(squeezed).toEqual(mutations.map(([what, , caught]) => `| ${what} | ${caught} |`));
});

test('the kit says what failed, or gives the report', () => {
  const only = ['order', 'calls'] as const;
  expect(() => expectPassed(testSampler(wrong(heun(), ddim().step), { only }))).toThrow(
    /^the sampler "heun" does not pass:\n {2}order: the error is .*\n {2}calls: a walk of 12 steps/,
  );
  expect(expectPassed(testSampler(heun(), { only })).checks.map(({ name }) => name)).toEqual([...only]);
  expect(() => testSampler(heun(), { only: ['speed' as 'order'] })).toThrow(
    'there is no check "speed"; there are "float64"',
  );
});
