import { alpha, epsOf, key, type Memory, memoryOf, normal, sigma } from '@logsnr/core';
import { compile } from '@logsnr/tensorflow';
import { clone, slice, type Tensor, tensor, tensor1d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import {
  apply,
  c,
  classes,
  counted,
  lambda,
  lambdas,
  mixture,
  plain,
  points,
  values,
  valuesOf,
  z,
} from '../test/tools.js';
import {
  apg,
  autoguidance,
  cfgZeroStar,
  classifierFree,
  frequencyDecoupled,
  mamboG,
  type Rule,
  rescale,
  slidingMode,
  tcfg,
  zeroInit,
} from './index.js';

const close = (got: readonly number[], expected: readonly number[], digits = 5) => {
  expect(got).toHaveLength(expected.length);
  expected.forEach((value, i) => {
    expect(got[i]).toBeCloseTo(value, digits);
  });
};

const rules: [string, Rule][] = [
  ['extrapolate', plain],
  ['rescale', rescale(0.7)],
  ['apg', apg({ norm: 0.5 })],
  ['cfgZeroStar', cfgZeroStar()],
  ['tcfg', tcfg],
  ['mamboG', mamboG()],
  ['rescale of apg', rescale(0.5, apg())],
  ['apg with momentum', apg({ momentum: -0.5 })],
  ['cfgZeroStar of the flow', cfgZeroStar({ prediction: 'flow' })],
  ['slidingMode', slidingMode()],
];

describe.each(rules)('%s', (_, rule) => {
  test('at w = 0 is the conditional ε bit for bit, also of some samples alone', () => {
    const alone = values(mixture.model);
    expect(values(classifierFree(mixture.model, classes, 0, { rule }))).toEqual(alone);
    const some = values(classifierFree(mixture.model, classes, (lambda) => (lambda > 1 ? 2 : 0), { rule }));
    expect(some.slice(0, 4)).toEqual(alone.slice(0, 4));
    expect(some.slice(4)).not.toEqual(alone.slice(4));
  });

  test('guides each sample by itself, jointly and split, without a leak', () => {
    const joint = classifierFree(mixture.model, classes, 2, { rule });
    const whole = values(joint);
    expect(values(classifierFree(mixture.model, classes, 2, { rule, evaluation: 'split' }))).toEqual(whole);
    const parts = [0, 1, 2].flatMap((i) =>
      valuesOf(epsOf(joint)(slice(z, [i, 0], [1, 2]), slice(lambda, [i], [1]), slice(c, [i], [1]))),
    );
    expect(parts).toEqual(whole);
    expectNoLeak(() => epsOf(joint)(z, lambda, c));
  });

  test('compiles to the same numbers', () => {
    const eager = classifierFree(mixture.model, classes, 2, { rule });
    const compiled = compile(epsOf(eager));
    const expected = values(eager);
    valuesOf(compiled(z, lambda, c)).forEach((value, i) => {
      expect(Math.abs(value - (expected[i] as number))).toBeLessThan(1e-5 * (1 + Math.abs(expected[i] as number)));
    });
    compiled.dispose();
  });

  test('with equal predictions gives them back', () => {
    close(apply(rule, [0.3, -0.7, 1.1], [0.3, -0.7, 1.1], { w: 3, z: [1, 2, 0.5] }), [0.3, -0.7, 1.1], 5);
  });

  test('is finite where predictions, their difference, z or their spread are 0', () => {
    const zero = [0, 0, 0];
    for (const [a, b] of [
      [zero, zero],
      [[0.5, -1, 2], zero],
      [zero, [0.5, -1, 2]],
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
      [
        [2, 2, 2],
        [1, 1, 1],
      ],
    ] as const)
      for (const lambda of [-20, 0, 20])
        for (const value of apply(rule, a, b, { w: 4, lambda })) expect(Number.isFinite(value)).toBe(true);
  });
});

describe('neutral settings are plain guidance bit for bit', () => {
  const guided = values(classifierFree(mixture.model, classes, 1.7));
  test.each([
    ['rescale φ = 0', rescale(0)],
    ['apg η = 1 without a limit', apg({ eta: 1 })],
    ['mamboG α = 0', mamboG(0)],
    ['slidingMode K = 0', slidingMode({ gain: 0 })],
  ])('%s', (_, rule) => {
    expect(values(classifierFree(mixture.model, classes, 1.7, { rule }))).toEqual(guided);
  });

  test('frequencyDecoupled with equal gains', () => {
    const [a, b] = [normal(key(1), [2, 4, 4, 3]), normal(key(2), [2, 4, 4, 3])];
    const both = (rule: Rule) =>
      valuesOf(
        epsOf(
          autoguidance(
            () => clone(a),
            () => clone(b),
            1.3,
            { rule },
          ),
        )(a, tensor1d([0, 1]), null),
      );
    expect(both(frequencyDecoupled([1, 1]))).toEqual(both(plain));
  });
});

describe('rescale (2305.08891)', () => {
  // ε_c = (1, −1), of deviation 1; ε̃ = ε_c + 2 (ε_c − ε_∅) with ε_∅ = (0, 0) is (3, −3), of deviation 3.
  test('by hand', () => {
    close(apply(rescale(1), [1, -1], [0, 0], { w: 2 }), [1, -1]);
    close(apply(rescale(0.7), [1, -1], [0, 0], { w: 2 }), [0.7 + 0.3 * 3, -0.7 - 0.3 * 3]);
    // A mean is no spread: ε̃ = (9, 3) has deviation 3, ε_c = (3, 1) has 1.
    close(apply(rescale(1), [3, 1], [0, 0], { w: 2 }), [3, 1]);
  });
  test('zero standard deviation: a constant ε̃ is left as it is, a constant ε_c shrinks ε̃ to nothing', () => {
    close(apply(rescale(1), [2, 2], [1, 1], { w: 1 }), [3, 3]);
    close(apply(rescale(1), [2, 2], [1, -1], { w: 1 }), [0, 0]);
    close(apply(rescale(1), [2], [1], { w: 1 }), [3]);
  });
  test('brings the deviation of a sample to that of its conditional ε', () => {
    const out = apply(rescale(1), [1, 2, 4], [0.5, -1, 3], { w: 3 });
    const std = (v: number[]) => Math.sqrt(v.reduce((s, x) => s + (x - v.reduce((a, b) => a + b) / 3) ** 2, 0) / 3);
    expect(std(out)).toBeCloseTo(std([1, 2, 4]), 5);
  });
});

describe('apg (2410.02416)', () => {
  /** The paper's form, on x̂, in float64. */
  function byHand(c: number[], u: number[], z: number[], w: number, lambda: number, eta: number, r: number): number[] {
    const [a, s] = [alpha(lambda), sigma(lambda)];
    const xHat = (eps: number[]) => eps.map((e, i) => ((z[i] as number) - s * e) / a);
    const [xc, xu] = [xHat(c), xHat(u)];
    const dot = (p: number[], q: number[]) => p.reduce((sum, v, i) => sum + v * (q[i] as number), 0);
    let delta = xc.map((v, i) => v - (xu[i] as number));
    const shrink = Math.min(1, r / Math.sqrt(dot(delta, delta)));
    delta = delta.map((v) => v * shrink);
    const factor = dot(delta, xc) / dot(xc, xc);
    const x = xc.map((v, i) => v + w * ((delta[i] as number) - factor * v + eta * factor * v));
    return x.map((v, i) => ((z[i] as number) - a * v) / s);
  }
  test.each([
    [0, Number.POSITIVE_INFINITY],
    [0.3, Number.POSITIVE_INFINITY],
    [0, 0.2],
    [1, 0.2],
    [-0.5, 100],
  ])('is the paper’s form on x̂ with η = %s and r = %s', (eta, r) => {
    const [a, b, at] = [
      [0.4, -1, 0.2],
      [0.1, -0.3, 0.9],
      [0.7, -0.2, 0.5],
    ];
    for (const level of [-3, 0, 2]) {
      const got = apply(apg({ eta, norm: r }), a as number[], b as number[], {
        w: 2,
        z: at as number[],
        lambda: level,
      });
      close(got, byHand(a as number[], b as number[], at as number[], 2, level, eta, r), 4);
    }
  });
  test('η = 0 leaves the length of x̂ along x̂(z, c) as it was', () => {
    // At λ = 0, α = σ, x̂ ∝ z − σ ε: with z = (1, 0)/σ … here x̂_c lies along the first axis, so only the second moves.
    const s = sigma(0);
    const got = apply(apg(), [0, 0], [1, 1], { w: 5, z: [s, 0], lambda: 0 });
    close(got, [0, -5]);
  });
  test('momentum is the authors’ running average: Δ̄ = Δ + β Δ̄ before, kept before it is shortened', () => {
    // Their code, on x̂, in float64: diff = c − u; average = diff + β average; shorten; project on c; c + w update.
    const dot = (p: number[], q: number[]) => p.reduce((sum, v, i) => sum + v * (q[i] as number), 0);
    const calls: [c: number[], u: number[]][] = [
      [
        [0.4, -1, 0.2],
        [0.1, -0.3, 0.9],
      ],
      [
        [0.5, 0.2, -0.7],
        [-0.3, 0.1, 0.4],
      ],
      [
        [1, -0.4, 0.3],
        [0.8, 0.5, -0.2],
      ],
    ];
    const [w, beta, r, eta] = [2, -0.5, 0.6, 0.2];
    const rule = apg({ eta, norm: r, momentum: beta });
    const row = (values: number[]) => tensor(values, [1, 3]);
    let average = [0, 0, 0];
    let memory = rule.start?.(1, [3]) ?? null;
    for (const [xc, xu] of calls) {
      average = xc.map((v, i) => v - (xu[i] as number) + beta * (average[i] as number));
      const shrink = Math.min(1, r / Math.sqrt(dot(average, average)));
      const delta = average.map((v) => v * shrink);
      const along = dot(delta, xc) / dot(xc, xc);
      const expected = xc.map((v, i) => v + w * ((delta[i] as number) - along * v + eta * along * v));
      const at = { conditional: row(xc), unconditional: row(xu), w, z: row([0, 0, 0]), lambda: tensor1d([0]) };
      const made = rule.combine(at, memory) as { value: Tensor; memory: Memory };
      memory = made.memory;
      close(valuesOf(made.value), expected);
      close(valuesOf(memory as Tensor), average);
    }
  });
  test('where w is 0 nothing is remembered or forgotten; each sample has its own memory', () => {
    const model = classifierFree(mixture.model, classes, 2, { rule: apg({ momentum: -0.5 }) });
    const once = model.predict(z, lambda, c, model.start(3, [2]));
    const twice = model.predict(z, lambda, c, once.memory);
    expect(valuesOf(twice.x)).not.toEqual(valuesOf(once.x));
    const parts = [0, 1, 2].map((i) => {
      const args = [slice(z, [i, 0], [1, 2]), slice(lambda, [i], [1]), slice(c, [i], [1])] as const;
      const first = model.predict(...args, model.start(1, [2]));
      return valuesOf(model.predict(...args, first.memory).x);
    });
    close(parts.flat(), valuesOf(twice.x), 6);
    const off = classifierFree(mixture.model, classes, (l) => (l > 100 ? 1 : 0), { rule: apg({ momentum: -0.5 }) });
    const kept = off.predict(z, lambda, c, once.memory);
    expect(valuesOf(memoryOf(kept.memory, 2) as Tensor)).toEqual(valuesOf(memoryOf(once.memory, 2) as Tensor));
    expect(valuesOf(off.at(0).predict(z, lambda, c, once.memory).eps)).toEqual(values(mixture.model));
    expectNoLeak(() => model.predict(z, lambda, c, once.memory) as never);
  });
  test('refuses a limit of 0', () => {
    expect(() => apg({ norm: 0 })).toThrow('norm is 0; it must be above 0.');
    expect(() => apg({ eta: Number.NaN })).toThrow(/eta is NaN/);
  });
});

describe('cfgZeroStar (2503.18886)', () => {
  const onEps = cfgZeroStar({ prediction: 'eps' });
  test('by hand: s = ⟨ε_c, ε_∅⟩/‖ε_∅‖²', () => {
    // ε_c = (2, 1), ε_∅ = (1, 0): s = 2, so ε̃ = ε_c + w (ε_c − (2, 0)) = (2, 1 + w).
    close(apply(onEps, [2, 1], [1, 0], { w: 3 }), [2, 4]);
  });
  test('ε_∅ of zero: s = 0 and ε̃ = (1 + w) ε_c', () => {
    close(apply(onEps, [2, 1], [0, 0], { w: 3 }), [8, 4]);
  });
  test('acts on the velocity, whose scale is another', () => {
    const [a, b, at] = [
      [0.4, -1],
      [0.1, -0.3],
      [0.7, -0.2],
    ] as [number[], number[], number[]];
    for (const level of [-3, 0, 2]) {
      const [al, s] = [alpha(level), sigma(level)];
      // v = (ε − σ z)/α, since z = α x + σ ε.
      const v = (eps: number[]) => eps.map((e, i) => (e - s * (at[i] as number)) / al);
      const dot = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * (q[i] as number), 0);
      const [vc, vu] = [v(a), v(b)];
      const scale = dot(vc, vu) / dot(vu, vu);
      const guided = vc.map((x, i) => x + 2 * (x - scale * (vu[i] as number)));
      const expected = guided.map((x, i) => s * (at[i] as number) + al * x);
      close(apply(cfgZeroStar(), a, b, { w: 2, z: at, lambda: level }), expected, 4);
      const other = apply(onEps, a, b, { w: 2, z: at, lambda: level });
      expect(Math.abs((other[0] as number) - (expected[0] as number))).toBeGreaterThan(1e-3);
    }
  });
  test('and on the velocity ε − x of flow matching, which is the paper’s', () => {
    const [a, b, at] = [
      [0.4, -1],
      [0.1, -0.3],
      [0.7, -0.2],
    ] as [number[], number[], number[]];
    for (const level of [-3, 0, 2]) {
      const [al, s] = [alpha(level), sigma(level)];
      const u = (eps: number[]) => eps.map((e, i) => e - ((at[i] as number) - s * e) / al);
      const dot = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * (q[i] as number), 0);
      const [uc, uu] = [u(a), u(b)];
      const scale = dot(uc, uu) / dot(uu, uu);
      // z = α x + σ ε and u = ε − x: ε = (z + α u)/(α + σ).
      const expected = uc.map((x, i) => {
        const guided = x + 2 * (x - scale * (uu[i] as number));
        return ((at[i] as number) + al * guided) / (al + s);
      });
      close(apply(cfgZeroStar({ prediction: 'flow' }), a, b, { w: 2, z: at, lambda: level }), expected, 4);
    }
  });
});

describe('slidingMode (2603.03281)', () => {
  const calls: [c: number[], u: number[]][] = [
    [
      [0.4, -1, 0.2],
      [0.1, -0.3, 0.9],
    ],
    [
      [0.5, 0.2, -0.7],
      [-0.3, 0.1, 0.4],
    ],
    [
      [1, -0.4, 0.3],
      [0.8, 0.5, -0.2],
    ],
  ];
  // What hanyang-21/CFG-Ctrl's _cfg_ctrl_apply gives for these velocities at cfg_scale 3 and smc_cfg_K 0.2: ũ, and e as it is kept.
  const authors: [decay: number, guided: number[][], kept: number[][]][] = [
    [
      1.5,
      [
        [0.4, -1.8, -0.6],
        [1.5, 1.0, -2.3],
        [0.8, -1.6, 0.7],
      ],
      [
        [0.1, -0.5, -0.5],
        [0.6, 0.3, -0.9],
        [0, -0.7, 0.3],
      ],
    ],
    [
      0.05,
      [
        [0.4, -1.8, -0.6],
        [1.5, -0.2, -2.3],
        [2.0, -1.6, 0.7],
      ],
      [
        [0.1, -0.5, -0.5],
        [0.6, -0.1, -0.9],
        [0.4, -0.7, 0.3],
      ],
    ],
  ];
  test.each(authors)('gives the numbers of the authors’ code at λ = %s', (decay, guided, kept) => {
    const rule = slidingMode({ gain: 0.2, decay });
    const row = (values: number[]) => tensor(values, [1, 3]);
    let memory = rule.start?.(1, [3]) ?? null;
    calls.forEach(([conditional, unconditional], i) => {
      const at = { z: row([0, 0, 0]), lambda: tensor1d([0]), w: 2 };
      const made = rule.combine({ conditional: row(conditional), unconditional: row(unconditional), ...at }, memory);
      const { value, memory: next } = made as { value: Tensor; memory: Memory };
      close(valuesOf(value), guided[i] as number[]);
      close(valuesOf((next as { error: Tensor }).error), kept[i] as number[]);
      memory = next;
    });
    expect(rule.acts).toBe('flow');
  });
  test('refuses settings below 0', () => {
    expect(() => slidingMode({ gain: -1 })).toThrow('gain is -1');
    expect(() => slidingMode({ decay: Number.NaN })).toThrow('decay is NaN');
  });
});

describe('zeroInit', () => {
  test('gives the velocity 0 up to its λ, guided or not, and asks nobody where λ is known', () => {
    for (const w of [0, 3]) {
      const { count, wrapped } = counted(mixture.model);
      const model = zeroInit(classifierFree(wrapped, classes, w), 0);
      const made = model.predict(z, lambda, c, model.start(3, [2])); // λ = −2, 0, 3
      const free = values(classifierFree(mixture.model, classes, w));
      const still = points.flatMap((point, i) => point.map((value) => value * sigma(lambdas[i] as number)));
      close(valuesOf(made.eps), [...still.slice(0, 4), ...free.slice(4)]);
      close(
        valuesOf(made.x).slice(0, 2),
        (points[0] as number[]).map((value) => value * alpha(-2)),
      );
      const asked = count.calls;
      const there = model.at(-1);
      const rest = there.predict(z, tensor1d([-1, -1, -1]), c, there.start(3, [2]));
      close(
        valuesOf(rest.eps),
        points.flat().map((value) => value * sigma(-1)),
      );
      expect([count.calls, there.cost(-1).calls, model.at(1).cost(1).calls]).toEqual([asked, 0, 1]);
    }
  });
});

describe('tcfg (2503.18137)', () => {
  test('is the projection of ε_∅ on the first singular vector', () => {
    // Power iteration on MᵀM in float64, M the two rows.
    const [a, b] = [
      [1, 0.5, -0.3],
      [0.4, 0.9, 0.2],
    ] as [number[], number[]];
    const dot = (p: number[], q: number[]) => p.reduce((sum, v, i) => sum + v * (q[i] as number), 0);
    let v = [1, 1, 1];
    for (let i = 0; i < 200; i++) {
      const next = a.map((x, j) => x * dot(a, v) + (b[j] as number) * dot(b, v));
      v = next.map((x) => x / Math.sqrt(dot(next, next)));
    }
    const kept = v.map((x) => x * dot(b, v));
    close(
      apply(tcfg, a, b, { w: 2 }),
      a.map((x, i) => x + 2 * (x - (kept[i] as number))),
    );
  });
  test('of orthogonal predictions the shorter one is lost', () => {
    close(apply(tcfg, [2, 0], [0, 1], { w: 1 }), [4, 0]);
    close(apply(tcfg, [1, 0], [0, 2], { w: 1 }), [2, -2]);
    close(apply(tcfg, [1, 0], [0, 1], { w: 1 }), [2, -1]);
  });
});

describe('mamboG (2508.03442)', () => {
  test('by hand: r = ‖d‖/‖ε_∅‖', () => {
    // d = (0, 3), ‖ε_∅‖ = 2, r = 1.5.
    close(apply(mamboG(2), [2, 3], [2, 0], { w: 4 }), [2, 3 + 12 * Math.exp(-3)]);
  });
  test('an ε_∅ of zero is the largest change: no guidance', () => {
    expect(apply(mamboG(2), [2, 3], [0, 0], { w: 4 })).toEqual([2, 3]);
  });
});

describe('frequencyDecoupled (2506.19713)', () => {
  /** Σ g_l L_l(d) alone: ε_c = d and ε_∅ = 0, w = 1, less ε_c. */
  function bands(gains: number[], size: number, value: (y: number, x: number) => number): number[] {
    const d = Float32Array.from({ length: size * size }, (_, i) => value(Math.floor(i / size), i % size));
    const image = (values: Float32Array) => () => tensor(values, [1, size, size, 1]);
    const guided = autoguidance(image(d), image(new Float32Array(size * size)), 1, { rule: frequencyDecoupled(gains) });
    const at = tensor(d, [1, size, size, 1]);
    return valuesOf(epsOf(guided)(at, tensor1d([0]), null)).map((v, i) => v - (d[i] as number));
  }

  test('a constant is low, a chessboard high', () => {
    close(
      bands([5, 2], 8, () => 1),
      new Array(64).fill(2),
    );
    close(
      bands([5, 2, 3], 8, () => 1),
      new Array(64).fill(3),
    );
    const chess = (y: number, x: number) => ((y + x) % 2 === 0 ? 1 : -1);
    close(
      bands([5, 2], 8, chess),
      Array.from({ length: 64 }, (_, i) => 5 * chess(Math.floor(i / 8), i % 8)),
    );
  });
  test('the bands add up to the whole', () => {
    const value = (y: number, x: number) => Math.sin(3 * y + x * x);
    const whole = bands([1, 1, 1], 8, value);
    const sum = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ].map((gains) => bands(gains, 8, value));
    close(
      whole.map((_, i) => sum.reduce((total, band) => total + (band[i] as number), 0)),
      whole,
    );
  });
  test('one pixel spreads as the filter of Burt & Adelson says', () => {
    // The even pixel 4 of a row: halved by 6/16, enlarged by 6/8 in each direction.
    const low = bands([0, 1], 16, (y, x) => (y === 4 && x === 4 ? 1 : 0));
    // Pixels 2, 4 and 6 of a row give [1 6 1]/16 to the halved one; back come [6 1 1 …]/8.
    const oneRow = (6 / 16) * (6 / 8) + 2 * (1 / 16) * (1 / 8);
    expect(low[4 * 16 + 4]).toBeCloseTo(oneRow ** 2, 5);
  });
  test('refuses what has no pixels to halve', () => {
    expect(() => bands([1, 2], 5, () => 1)).toThrow(/z has shape \[1, 5, 5, 1\]; 2 levels need images.*divisible by 2/);
    expect(() => apply(frequencyDecoupled([1, 2]), [1], [2])).toThrow(/needs? images/);
    expect(() => frequencyDecoupled([])).toThrow(/gains is empty/);
  });
});
