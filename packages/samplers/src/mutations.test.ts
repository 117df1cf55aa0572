import { readFileSync } from 'node:fs';
import { alpha, alphaRatio, combine, posterior, sigma, transition } from '@logsnr/core';
import { add, keep, mean, mul, neg, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { dataMove, renoisedData } from './exact-moves.js';
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
  wrong(ancestral(), (context, state) => {
    const { z, from, to, noise } = context;
    const still = ddim({ eta: 1 }).step({ ...context, noise: () => combine([0, z]) }, state);
    return { z: to === Number.POSITIVE_INFINITY ? still.z : combine([1, still.z], [std(from, to), noise()]), state };
  });

/** DPM-Solver++(2M) for equal steps alone, r = 1, or with the first x̂ for ever. */
const twoM = (fault: 'equal' | 'stale'): Sampler<{ past: { lambda: number; x: Tensor }[] }> => ({
  ...dpmSolverPP2M(),
  renoises: false,
  init: () => ({ past: [] }),
  step({ predict, z, from, to }, { past }) {
    const { x } = predict(z, from);
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
    wrong(ddim(), (context, state) =>
      ddim().step({ ...context, predict: (x, lambda) => context.predict(x, -lambda) }, state),
    ),
    'order',
    /The error stays/,
  ],
  [
    'λ’s sign swapped in the step',
    wrong(ddim(), ({ predict, z, from, to }, state) => {
      const { x, eps } = predict(z, from);
      if (to === Number.POSITIVE_INFINITY) return { z: combine([1, x]), state };
      return { z: combine([alpha(-to), x], [sigma(-to), eps]), state };
    }),
    'order',
    /The error stays/,
  ],
  [
    'the papers’ λ, half of ours, taken for ours',
    wrong(dpmSolver2(), (context, state) =>
      dpmSolver2().step({ ...context, predict: (x, lambda) => context.predict(x, lambda / 2) }, state),
    ),
    'order',
    /The error stays/,
  ],
  [
    'one noise for all steps',
    {
      ...ancestral(),
      init: () => ({ noise: [] as Tensor[] }),
      step(context, state) {
        const [n] = state.noise.length > 0 ? state.noise : [context.noise()];
        const next = ancestral().step({ ...context, noise: () => combine([1, n as Tensor]) }, null);
        return { z: next.z, state: { noise: [n as Tensor] } };
      },
    } satisfies Sampler<{ noise: Tensor[] }>,
    'order',
    /The error stays/,
  ],
  [
    'one noise for the two draws of a step',
    wrong(churn(ancestral()), (context, state) => {
      const n = context.noise();
      return churn(ancestral()).step({ ...context, noise: () => combine([1, n]) }, state);
    }),
    'order',
    /The error stays/,
  ],
  [
    'noise that the key does not decide',
    wrong(ancestral(), (context, state) =>
      ancestral().step({ ...context, noise: () => combine([Math.sin(++seen), context.noise()]) }, state),
    ),
    'seeds',
    /all noise must come from `noise`/,
  ],
  [
    'noise after the last model call',
    wrong(ancestral(), (context, state) => {
      const { to, noise } = context;
      const next = ancestral().step(context, state);
      return to === Number.POSITIVE_INFINITY ? { z: combine([1, next.z], [0.02, noise()]), state } : next;
    }),
    'last step',
    /the result is x̂ with noise on it/,
  ],
  [
    'z at the last λ for x̂',
    wrong(ddim(), (context, state) =>
      context.to === Number.POSITIVE_INFINITY ? { z: combine([1, context.z]), state } : ddim().step(context, state),
    ),
    'point mass',
    /the last step must end at x̂/,
  ],
  [
    'churn’s noise without its way back in λ',
    wrong(churn(heun()), (context, state) => {
      const { z, from, noise } = context;
      return heun().step({ ...context, z: combine([1, z], [0.3 * sigma(from), noise()]) }, state);
    }),
    'order',
    /The error stays/,
  ],
  [
    'an ancestral step that does not go below first',
    wrong(ancestralOf(dpmSolver2()), (context, state) => {
      const { from, to, noise } = context;
      const next = dpmSolver2().step(context, state);
      if (to === Number.POSITIVE_INFINITY) return next;
      return { z: combine([1, next.z], [sigma(to) * Math.sqrt(gain(from, to)), noise()]), state };
    }),
    'order',
    /The error stays/,
  ],
  [
    'a restart that raises the noise of z and leaves z as large',
    wrong(restart(ddim(), []), (context, state) => {
      const { from, to, noise } = context;
      const next = ddim().step(context, state);
      if (!(from < 0 && to >= 0 && to < 5)) return next;
      const back = combine([1, next.z], [Math.sqrt(transition(to, -2).variance), noise()]);
      return ddim().step({ ...context, z: back, from: -2 }, state);
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
    'the data taken from the ε̂ to renoise with',
    wrong(ddim(), (context, state) => {
      const predict: typeof context.predict = (z, lambda) => {
        const made = context.predict(z, lambda);
        return made.renoise ? { ...made, x: renoisedData(made, lambda) } : made;
      };
      return ddim().step({ ...context, predict }, state);
    }),
    'renoise',
    /the data must come from x̂/,
  ],
  [
    'the ε̂ to renoise with left unused',
    wrong(ddim(), (context, state) =>
      ddim().step({ ...context, predict: (z, lambda) => ({ ...context.predict(z, lambda), renoise: null }) }, state),
    ),
    'renoise',
    /use `renoise` in the place of `eps`/,
  ],
  [
    'z changed in place',
    wrong(ddim(), (context, state) => {
      const next = ddim().step(context, state);
      if (context.z instanceof Float64Array) context.z.fill(0);
      return next;
    }),
    'borrowing',
    /changes z or its state; z and the state are borrowed/,
  ],
  [
    'a sample that sees its batch',
    wrong(ddim(), (context, state) => {
      const { z: next } = ddim().step(context, state);
      return { z: add(next, mul(mean(context.z, 0, true), 1e-2)), state };
    }),
    'batches',
    /A sample may depend on itself and its own noise alone/,
  ],
  [
    'a tensor kept',
    wrong(ddim(), (context, state) => {
      kept = keep(neg(context.z));
      return ddim().step(context, state);
    }),
    'leaks',
    /leaves 6 tensors/,
  ],
  [
    'a step that cannot be recorded',
    wrong(ddim(), (context, state) => {
      const next = ddim().step(context, state);
      return { z: neg(neg(next.z)), state };
    }),
    'compiles',
    /declare `compiles: false`/,
  ],
  [
    'a step on tensors alone',
    wrong(ddim(), ({ predict, z, from, to }, state) => ({
      z: mul(add(z, predict(z, from).eps), alphaRatio(from, to)),
      state,
    })),
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
