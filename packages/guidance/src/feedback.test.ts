import { alpha, type EpsFunction, labels, type Memory, memoryOf, scales, sigma } from '@logsnr/core';
import {
  add,
  cast,
  div,
  fill,
  lessEqual,
  mul,
  reshape,
  sub,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tensor2d,
  tidy,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { classes, mixture, values, valuesOf } from '../test/tools.js';
import { classifierFree, feedbackGuidance, feedbackSettings, interval } from './index.js';

/** The log posterior that a feedback-guided model follows. */
const followed = (memory: Memory) => (memoryOf(memory, 2) as { logPosterior: Tensor }).logPosterior;
const start = [
  [0.3, -0.2],
  [-1.1, 0.7],
  [0.9, 1.4],
];
const second = classes.of([1, 1, 1]);

/** EDM's grid of σ/α with 8 points, as log-SNR. */
const edm = Array.from({ length: 8 }, (_, i) => {
  const root = 10 ** (1 / 7) + (i / 7) * (0.05 ** (1 / 7) - 10 ** (1 / 7));
  return -2 * Math.log(root ** 7);
});

describe('feedback guidance (2506.06085)', () => {
  // FelixKoulischer/FBG_using_edm2's edm_sampler in float64 with '1st_order_Euler' (DDIM), temp 0.6, offset −0.4, pi 0.7, max_guidance 6,
  // on this mixture's exact denoisers, noise `start`: the guidance scales 1 + w that it prints, and the samples.
  const authors = [
    {
      name: 'FBG_pure',
      options: { maxW: 5 },
      scales: [
        [1.4286, 1.4286, 1.4286],
        [1.7971, 1.8206, 1.7007],
        [2.6942, 2.9405, 2.0788],
        [3.2115, 3.5332, 2.2179],
        [1.8025, 1.535, 2.4005],
        [2.576, 1.9646, 5.9283],
        [6, 3.7101, 6],
        [6, 6, 6],
      ],
      samples: [1.267243, 0.7794519, 1.128084, 0.9520876, 1.287573, 0.9484487],
    },
    {
      name: 'FBG_CFG at a constant scale of 1.5',
      options: { maxW: 4.5, w: 0.5 },
      scales: [
        [1.9286, 1.9286, 1.9286],
        [2.2899, 2.3127, 2.1956],
        [3.0835, 3.291, 2.5368],
        [3.2444, 3.4082, 2.5949],
        [2.3207, 2.1304, 2.7936],
        [3.1545, 2.6973, 5.767],
        [6, 5.7851, 6],
        [6, 6, 6],
      ],
      samples: [1.289961, 0.8111176, 1.131184, 0.9703669, 1.322657, 0.9918859],
    },
  ];
  test.each(authors)('gives the numbers of the authors’ code: $name', ({ options, scales, samples }) => {
    const model = feedbackGuidance(mixture.model, classes, { pi: 0.7, tau: 0.6, delta: -0.4, ...options });
    tidy(() => {
      let at: Tensor = mul(tensor2d(start), sigma(edm[0] as number));
      let memory = model.start(3, [2]);
      edm.forEach((level, i) => {
        const made = model.predict(at, fill([3], level) as Tensor1D, second, memory);
        memory = made.memory;
        const learned = valuesOf(followed(memory)).map((log) => Math.exp(log));
        learned.forEach((p, k) => {
          const scale = p / (p - 0.3) + (options.w ?? 0);
          expect(Math.abs(scale - (scales[i]?.[k] as number))).toBeLessThan(2e-4);
        });
        const next = edm[i + 1];
        at = next === undefined ? made.x : add(mul(made.x, alpha(next)), mul(made.eps, sigma(next)));
      });
      valuesOf(at).forEach((value, k) => {
        expect(value).toBeCloseTo(samples[k] as number, 4);
      });
    });
  });

  test('with τ = 1 and δ = 0 it is Bayes’ rule: of two points, what the walk says so far, exactly, whatever its steps', () => {
    // x is `a` for the condition and `b` without it, so the steps' evidence adds up to log N(z; α a, σ²)/N(z; α b, σ²) on any path.
    const [a, b] = [0.6, -0.3];
    const twoPoints: EpsFunction<Tensor1D> = (z, lambda, label) =>
      tidy(() => {
        const { alpha, sigma } = scales(z, lambda);
        const x = add(mul(reshape(cast(lessEqual(label, 0), 'float32'), [-1, 1]), a - b), b);
        return div(sub(z, mul(alpha, x)), sigma);
      });
    const one = labels(1);
    const settings = { pi: 1 - 1e-6, tau: 1, delta: 0, maxW: 1e6 };
    const walk = [
      [-4, [0.5, -1.2]],
      [-2.5, [0.4, 0.7]],
      [-1, [-0.6, 0.2]],
      [0.3, [-0.1, 0.3]],
    ] as const;
    const exact = (level: number, z: readonly number[]) =>
      z.reduce((sum, v) => {
        const far = (x: number) => (v - alpha(level) * x) ** 2 / (2 * sigma(level) ** 2);
        return sum + far(b) - far(a);
      }, 0);
    tidy(() => {
      const model = feedbackGuidance(twoPoints, one, settings);
      let memory = model.start(1, [2]);
      const ask = (level: number, z: readonly number[]) => {
        memory = model.predict(tensor2d([[...z]]), tensor1d([level]), one.of([0]), memory).memory;
        return valuesOf(followed(memory))[0] as number;
      };
      for (const [level, z] of walk) expect(ask(level, z)).toBeCloseTo(exact(level, z) - exact(...walk[0]), 4);
      // A call that does not go on says nothing.
      const [level, z] = walk[3];
      expect(ask(level, [5, 5])).toBeCloseTo(exact(level, z) - exact(...walk[0]), 4);
    });
  });

  test('with τ = δ = 0 it is classifier-free guidance at (1 − π)/π and at what is added', () => {
    const settings = { pi: 0.8, tau: 0, delta: 0 };
    const close = (got: number[], expected: number[]) =>
      got.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 4);
      });
    const added = interval(2, { lambda: [-1, 1] });
    close(
      values(feedbackGuidance(mixture.model, classes, settings)),
      values(classifierFree(mixture.model, classes, 0.25)),
    );
    close(
      values(feedbackGuidance(mixture.model, classes, { ...settings, w: added })),
      values(classifierFree(mixture.model, classes, (level) => 0.25 + added.at(level))),
    );
  });

  test('feedbackSettings gives the authors’ τ and δ', () => {
    // Their delta_from_t0 and Temp_from_t1 on the grid above in float64, unrounded.
    for (const [pi, t0, t1, delta, tau] of [
      [0.95, 0.5, 0.4, -0.6475667913614565, 0.023035383852534168],
      [0.999, 0.556, 0.75, -1.8305997102685734, 2.556132258285759],
      [0.999, 0.3, 0.1, -1.1611232447989237, 0.00040745917716538],
    ] as const) {
      const got = feedbackSettings(edm, { pi, t0, t1 });
      expect(got.pi).toBe(pi);
      expect(got.delta).toBeCloseTo(delta, 8);
      expect(got.tau / tau).toBeCloseTo(1, 6);
    }
  });

  test('refuses settings out of range', () => {
    const make = (options: object) => () =>
      feedbackGuidance(mixture.model, classes, { pi: 0.9, tau: 1, delta: 0, ...options });
    expect(make({ pi: 1 })).toThrow('pi is 1; it must be above 0 and below 1.');
    expect(make({ tau: -1 })).toThrow('tau is -1');
    expect(make({ delta: Number.NaN })).toThrow('delta is NaN');
    expect(make({ maxW: 0 })).toThrow('maxW is 0');
    expect(make({ w: Number.NaN })).toThrow('w is NaN');
    expect(() => feedbackSettings([0, 1], { pi: 0.9, t0: 0.6, t1: 0 })).toThrow('t0 is 0.6; on a grid of 2 points');
  });
});
