import { alpha, sigma } from '@logsnr/core';
import { bisect } from '@logsnr/schedules';
import { describe, expect, test } from 'vitest';
import {
  adaptive,
  ancestralOf,
  churn,
  ddim,
  deis,
  dpmSolver2,
  dpmSolverPP2M,
  dpmSolverPP2S,
  dpmSolverPP3M,
  exponentialAB,
  heun,
  lms,
  modelCalls,
  restart,
  type Sampler,
  saSolver,
  unipc,
} from './index.js';
import { lineEps, lineFlow } from './testing/closed-forms.js';
import { flowError } from './testing/order.js';
import { evenGrid, type Numbers, run64 } from './testing/runs.js';

type Numeric<S> = Sampler<S, Float64Array>;
const z = Float64Array.of(-0.9, 0.3, 1.2);
const lambdas = [-3, -1.8, -0.5, 1, 2.1];
const run = <S>(sampler: Numeric<S>, grid: readonly number[] = lambdas, end?: number) =>
  run64({ sampler: sampler as unknown as Numbers, eps: lineEps, lambdas: grid, z, ...(end !== undefined && { end }) });
const same = (a: Float64Array, b: Float64Array, digits = 12) => {
  a.forEach((value, i) => {
    expect(value).toBeCloseTo(b[i] as number, digits);
  });
};
/** x̂ at λ. */
const data = (z: Float64Array, lambda: number) => {
  const eps = lineEps(z, lambda);
  return z.map((value, i) => (value - sigma(lambda) * (eps[i] as number)) / alpha(lambda));
};

describe('samplers that are the same', () => {
  test('every first order is DDIM', () => {
    const first = run(ddim());
    same(run(lms({ order: 1 })), first);
    same(run(exponentialAB({ order: 1 })), first);
    same(run(exponentialAB({ order: 1, prediction: 'eps' })), first);
    same(run(unipc({ order: 1, corrector: false })), first);
    same(run(saSolver({ predictor: 1, corrector: 0, tau: 0 })), first);
    same(run(churn(ddim(), { churn: 0 })), first);
    same(run(restart(ddim(), [{ from: -2, to: 1, times: 0 }])), first);
  });

  test('an ancestral DDIM(0) is DDIM(η)', () => {
    same(run(ancestralOf(ddim(), { eta: 0.6 })), run(ddim({ eta: 0.6 })));
  });

  test('3M is the exponential Adams–Bashforth method of x̂, and SA-Solver with τ² = η its SDE form', () => {
    same(run(dpmSolverPP3M()), run(exponentialAB({ order: 3 })));
    same(
      run(dpmSolverPP3M({ eta: 0.49 })),
      run(saSolver({ predictor: 3, corrector: 0, tau: 0.7, lowerOrderFinal: false })),
    );
  });

  test('DPM-Solver-2 with its second point at the end is Heun', () => {
    same(run(dpmSolver2({ r: 1 }), lambdas, 3), run(heun(), lambdas, 3));
  });
});

// In the DPM-Solver papers' own letters: λ is half of ours, h its step.
describe('steps from the papers, to the letter', () => {
  const half = (lambda: number) => lambda / 2;

  test('DPM-Solver++(2S): u, then x̂ of u', () => {
    const [from, to] = [-1, 0.4];
    const [h, middle] = [half(to) - half(from), (from + to) / 2];
    const x = data(z, from);
    const u = z.map(
      (value, i) => (sigma(middle) / sigma(from)) * value - alpha(middle) * Math.expm1(-h / 2) * (x[i] as number),
    );
    const xu = data(u, middle);
    const expected = z.map(
      (value, i) => (sigma(to) / sigma(from)) * value - alpha(to) * Math.expm1(-h) * (xu[i] as number),
    );
    same(run(dpmSolverPP2S(), [from], to), expected);
  });

  test('DPM-Solver++(2M): D = (1 + 1/2r) x̂ − (1/2r) x̂ before', () => {
    const [a, b, c] = [-2, -0.8, 1];
    const first = data(z, a);
    const at = z.map(
      (value, i) => (sigma(b) / sigma(a)) * value - alpha(b) * Math.expm1(half(a) - half(b)) * (first[i] as number),
    );
    const [second, r] = [data(at, b), (b - a) / (c - b)];
    const expected = at.map((value, i) => {
      const mixed = (1 + 1 / (2 * r)) * (second[i] as number) - (1 / (2 * r)) * (first[i] as number);
      return (sigma(c) / sigma(b)) * value - alpha(c) * Math.expm1(half(b) - half(c)) * mixed;
    });
    same(run(dpmSolverPP2M(), [a, b], c), expected);
    // With a lower order at the end, the second step is the first one again.
    const low = at.map(
      (value, i) => (sigma(c) / sigma(b)) * value - alpha(c) * Math.expm1(half(b) - half(c)) * (second[i] as number),
    );
    same(run(dpmSolverPP2M({ lowerOrderFinal: true }), [a, b], c), low);
  });

  test('UniPC-2 of a grid whose last step has length 0 ends where it stands', () => {
    const [grid, there] = [[-2, -0.8, 1], run(unipc(), [-2, -0.8], 1)];
    expect(run(unipc(), grid, 1).every(Number.isFinite)).toBe(true);
    // The model call at the last point still corrects what led there.
    expect(Math.abs((run(unipc(), grid, 1)[0] as number) - (there[0] as number))).toBeGreaterThan(1e-5);
    same(
      run(unipc({ corrector: false }), grid, 1),
      run(unipc({ corrector: false, lowerOrderFinal: false }), [-2, -0.8], 1),
    );
  });

  test('CFG++ with 2M: x̂ is the guided one, all the rest unconditional', () => {
    const [denoise, renoise] = [0.3, -0.2];
    const [a, b, c] = [-2, -0.8, 1];
    const x = (z: number, lambda: number, eps: number) => (z - sigma(lambda) * eps) / alpha(lambda);
    const at = alpha(b) * x(0.7, a, denoise) + sigma(b) * renoise;
    const difference = x(at, b, renoise) - x(0.7, a, renoise);
    const h = (c - b) / 2;
    const r = (b - a) / (c - b);
    const expected =
      alpha(c) * x(at, b, denoise) + sigma(c) * renoise - (alpha(c) * Math.expm1(-h) * difference) / (2 * r);
    const sampler = dpmSolverPP2M() as unknown as Numbers;
    const run = { sampler, eps: () => Float64Array.of(denoise), renoise: () => Float64Array.of(renoise) };
    const end = run64({ ...run, lambdas: [a, b], end: c, z: Float64Array.of(0.7) });
    expect(end[0]).toBeCloseTo(expected, 12);
  });
});

test('CFG++ with 2S is the authors’ step, in their letters', () => {
  // k-diffusion's x is z/α, its sigma e^{−λ/2}; the predictions are constants, so x̂ and x̂_∅ are known everywhere.
  const [eps, renoise] = [0.3, -0.2];
  const [from, to, start] = [-1, 0.6, 0.7];
  const [middle, h] = [(from + to) / 2, (to - from) / 2];
  const s = (lambda: number) => Math.exp(-lambda / 2);
  const at = (x: number, lambda: number, e: number) => x - s(lambda) * e;
  const x = start / alpha(from);
  const second = Math.exp(-h / 2) * x + (1 - Math.exp(-h / 2)) * at(x, from, renoise);
  const expected = at(second, middle, eps) - Math.exp(-h) * at(second, middle, renoise) + Math.exp(-h) * x;
  const sampler = dpmSolverPP2S() as unknown as Numbers;
  const run = { sampler, eps: () => Float64Array.of(eps), renoise: () => Float64Array.of(renoise) };
  const end = run64({ ...run, lambdas: [from], end: to, z: Float64Array.of(start) });
  expect((end[0] as number) / alpha(to)).toBeCloseTo(expected, 12);
});

test('linear multistep is exact for an ε that is a cubic in s, once four points are known', () => {
  const s = (lambda: number) => Math.exp(-lambda / 2);
  const cubic = (s: number) => 0.3 - 0.2 * s + 0.05 * s ** 2 - 0.004 * s ** 3;
  const integral = (s: number) => 0.3 * s - 0.1 * s ** 2 + (0.05 / 3) * s ** 3 - 0.001 * s ** 4;
  const grid = [-4, -3.2, -2.1, -1.5, 0.2];
  const points: number[] = [];
  const sampler = lms() as unknown as Numbers;
  const watched: Numbers = {
    ...sampler,
    step(context, state) {
      points.push(context.z[0] as number);
      return sampler.step(context, state);
    },
  };
  const eps = (z: Float64Array, lambda: number) => z.map(() => cubic(s(lambda)));
  const x = run64({ sampler: watched, eps, lambdas: grid, z: Float64Array.of(1) })[0] as number;
  // From the fourth point on, to the fifth and to s = 0.
  const y = (i: number) => (points[i] as number) / alpha(grid[i] as number);
  expect(y(4) - y(3)).toBeCloseTo(integral(s(0.2)) - integral(s(-1.5)), 12);
  expect(x - y(4)).toBeCloseTo(-integral(s(0.2)), 12);
});

describe('adaptive', () => {
  const error = (tolerance: number, steps = 1) => {
    const sampler = adaptive({ rtol: tolerance, atol: tolerance }) as unknown as Numbers;
    const end = run64({ sampler, eps: lineEps, lambdas: evenGrid(-8, 6, steps), end: 6, z });
    return Math.max(...end.map((value, i) => Math.abs(value - (lineFlow(z, -8, 6)[i] as number))));
  };

  test('keeps to the tolerance, however coarse the grid', () => {
    for (const tolerance of [1e-2, 1e-3, 1e-4, 1e-5])
      for (const steps of [1, 7]) expect(error(tolerance, steps)).toBeLessThan(10 * tolerance);
    expect(error(1e-5)).toBeLessThan(error(1e-2) / 50);
  });

  test('takes longer steps where it can, and says where ε̂ is not finite', () => {
    let calls = 0;
    const eps = (z: Float64Array, lambda: number) => {
      calls++;
      return lineEps(z, lambda);
    };
    const sampler = adaptive() as unknown as Numbers;
    run64({ sampler, eps, lambdas: [-20], end: 20, z });
    expect(calls).toBeGreaterThan(20);
    expect(calls).toBeLessThan(400);
    const broken = (z: Float64Array, lambda: number) => z.map(() => (lambda > 0 ? Number.NaN : 0));
    expect(() => run64({ sampler, eps: broken, lambdas: [-2], end: 2, z })).toThrow(
      /is NaN: the model's ε̂ is not finite/,
    );
  });
});

test('a multistep method is second order with the published weight of 3M, half of what the parabola needs', () => {
  const published: Numbers = {
    ...(dpmSolverPP3M() as unknown as Numbers),
    step(context, state) {
      const full = (dpmSolverPP3M() as unknown as Numbers).step(context, state);
      const line = (exponentialAB({ order: 2 }) as unknown as Numbers).step(context, state);
      return { z: full.z.map((value, i) => (value + (line.z[i] as number)) / 2), state: full.state };
    },
  };
  const measured = Math.log2(flowError(published, 256) / flowError(published, 512));
  expect(measured).toBeLessThan(2.2);
});

describe('deis', () => {
  /** −2 ln α = ln(1 + e^{−λ}) = 0.1 t + 9.95 t², by bisection. */
  const time = (lambda: number) =>
    lambda === Number.POSITIVE_INFINITY
      ? 0
      : bisect((t) => 0.1 * t + 9.95 * t * t, Math.log1p(Math.exp(-lambda)), 0, 9);
  const grid = [-3, -1.6, -0.4, 0.9, 2.5];

  test('its time unless given is that of β from 0.1 to 20', () => {
    const run = (sampler: Numbers) => run64({ sampler, eps: lineEps, lambdas: grid, end: 4, z });
    same(run(deis() as unknown as Numbers), run(deis({ time }) as unknown as Numbers), 10);
  });

  test('is exact for an ε that is linear in time, the step to clean data included', () => {
    const s = (lambda: number) => Math.exp(-lambda / 2);
    // Steps that shrink in time, as on a grid of its own.
    const lambdas = [-2, -0.8, 0.5, 2.2, 4.5];
    const eps = (z: Float64Array, lambda: number) => z.map(() => 0.3 + 0.7 * time(lambda));
    const points: number[] = [];
    const sampler = deis({ order: 2, time }) as unknown as Numbers;
    const watched: Numbers = {
      ...sampler,
      step(context, state) {
        points.push(context.z[0] as number);
        return sampler.step(context, state);
      },
    };
    const x = run64({ sampler: watched, eps, lambdas, z: Float64Array.of(1) })[0] as number;
    const last = lambdas.at(-1) as number;
    const panels = 4000;
    // ∫ ε ds from s(λ_T) to 0 by the midpoint rule.
    const width = s(last) / panels;
    let integral = 0;
    for (let i = 0; i < panels; i++) integral -= width * (0.3 + 0.7 * time(-2 * Math.log((i + 0.5) * width)));
    expect(x).toBeCloseTo((points.at(-1) as number) / alpha(last) + integral, 6);
  });
});

test('SA-Solver lets its orders fall towards the end unless told otherwise', () => {
  const lambdas = [-3, -2, -1, 0, 1];
  const last = (options: Parameters<typeof saSolver>[0]) =>
    run64({ sampler: saSolver({ tau: 0, ...options }) as unknown as Numbers, eps: lineEps, lambdas, end: 2, z });
  const whole = last({ lowerOrderFinal: false });
  expect(Math.abs((whole[0] as number) - (last({})[0] as number))).toBeGreaterThan(1e-7);
  // Of predictor 1 and no corrector nothing is left to fall.
  same(last({ predictor: 1, corrector: 0 }), last({ predictor: 1, corrector: 0, lowerOrderFinal: false }));
});

describe('restart', () => {
  test('a sampler with a state begins anew at every pass and after it', () => {
    const ages: number[] = [];
    const ageing = {
      ...ddim<Float64Array>(),
      init: () => 0,
      step(context: Parameters<Numbers['step']>[0], age: number) {
        ages.push(age);
        return { z: ddim<Float64Array>().step(context, null).z, state: age + 1 };
      },
    };
    const sampler = restart(ageing as never, [{ from: -3, to: 0, times: 2 }]) as Numbers;
    run64({ sampler, eps: lineEps, lambdas: [-4, -2, 0, 1], end: 2, z });
    // −4 → −2 → 0, then twice −3 → −2 → 0, then 0 → 1 → 2.
    expect(ages).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  });
});

test('restart and churn count their calls', () => {
  const [heunLike, grid] = [heun(), evenGrid(-4, 4, 8)];
  expect(modelCalls(restart(heunLike, [{ from: -2, to: 0, times: 3, steps: 5 }]), grid)).toBe(15 + 3 * 5 * 2);
  expect(modelCalls(restart(heunLike, [{ from: -2, to: 0, times: 3 }]), grid)).toBe(15 + 3 * 2 * 2);
  expect(modelCalls(churn(heunLike), grid)).toBe(15);
});

test('settings out of range are refused', () => {
  expect(() => lms({ order: 5 })).toThrow('order is 5; it must be an integer from 1 to 4.');
  expect(() => unipc({ order: 4 })).toThrow('order is 4; it must be an integer from 1 to 3.');
  expect(() => unipc({ variant: 'bh3' as 'bh1' })).toThrow('variant is "bh3"; it must be "bh1" or "bh2".');
  expect(() => exponentialAB({ prediction: 'v' as 'x' })).toThrow(/prediction is "v"/);
  expect(() => dpmSolver2({ r: 0 })).toThrow(/r is 0/);
  expect(() => churn(heun(), { churn: -1 })).toThrow('churn is -1; it must be at least 0.');
  expect(() => churn(heun(), { sMin: 2, sMax: 1 })).toThrow(/sMin is 2 and sMax is 1/);
  expect(() => restart(heun(), [{ from: 1, to: 0, times: 1 }])).toThrow('interval 0 goes from 1 to 0');
  expect(() => adaptive({ rtol: 0 })).toThrow('rtol is 0; it must be finite and above 0.');
  expect(() => saSolver({ tau: -1 })).toThrow(/tau is -1/);
});
