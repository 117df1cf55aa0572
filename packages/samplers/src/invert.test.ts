import { alpha, gaussianMixture, key, labels, sigma } from '@logsnr/core';
import { arctan, grid } from '@logsnr/schedules';
import { abs, max, mean, mul, ones, sub, type Tensor, tensor2d, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { ancestral, ddim, heun, invert, repaint, type Sampler, sample, sdedit, trajectory } from './index.js';

const bell = { mean: [0.7, -0.2], std: 0.5 };
const { model } = gaussianMixture([bell]);
const condition = labels(1).of([0, 0, 0]);
const x = tensor2d([
  [0.1, 0.2],
  [1.4, -0.9],
  [0.7, -0.2],
]);
const lambdas = grid(arctan({ lambdaMin: -8, lambdaMax: 8 }), 60);
const largest = (a: Tensor, b: Tensor) => max(abs(sub(a, b))).dataSync()[0] as number;
/** The standard deviation of z. */
const scaled = (lambda: number) => Math.hypot(alpha(lambda) * bell.std, sigma(lambda));

describe('invert', () => {
  // The flow of a Gaussian keeps (z − α m)/√(α² s² + σ²).
  const exact = tensor2d(
    (x.arraySync() as number[][]).map((row) =>
      row.map((value, i) => {
        const [m, lambda] = [bell.mean[i] as number, lambdas[0] as number];
        return alpha(lambda) * m + (scaled(lambda) * (value - m)) / bell.std;
      }),
    ),
  );
  const error = (sampler: Sampler<null>, steps: number) => {
    const even = Array.from({ length: steps }, (_, i) => -8 + (16 * i) / (steps - 1));
    return largest(invert({ model, condition, x, lambdas: even, sampler }), exact);
  };

  test('finds the noise of the exact flow, with the order of its sampler', () => {
    expect(error(ddim(), 60)).toBeLessThan(0.3);
    expect(error(heun(), 60)).toBeLessThan(0.02);
    expect(Math.log2(error(ddim(), 50) / error(ddim(), 100))).toBeCloseTo(1, 0);
    expect(Math.log2(error(heun(), 30) / error(heun(), 60))).toBeGreaterThan(1.7);
  });

  test('leads back to x by sampling', () => {
    for (const [sampler, tolerance] of [
      [ddim(), 0.05],
      [heun(), 0.01],
    ] as const) {
      const z = invert({ model, condition, x, lambdas, sampler });
      const back = sample({ model, condition, sampler, lambdas, shape: [3, 2], key: key(0), z });
      expect(largest(back, x)).toBeLessThan(tolerance);
    }
    expectNoLeak(() => invert({ model, condition, x, lambdas: [-2, 0, 2] }));
    expectNoLeak(() => invert({ model, condition, x, lambdas: [2] }));
  });

  test('refuses a sampler that draws noise', () => {
    const noisy: Sampler<null> = {
      ...ddim(),
      name: 'noisy',
      step: ({ noise }, state) => ({ z: noise(), state }),
    };
    expect(() => invert({ model, condition, x, lambdas: [0, 1], sampler: noisy })).toThrow(
      'the sampler "noisy" draws noise; only a deterministic one can be inverted.',
    );
    expect(() => invert({ model, condition, x, lambdas: [0, 1], sampler: ancestral() })).toThrow();
  });
});

describe('sdedit', () => {
  const options = { model, condition, x, sampler: ancestral(), lambdas, shape: [3, 2], key: key(4) };

  test('draws from the exact posterior: its mean lies between x and the data’s as the noise says', () => {
    const [n, value] = [2000, 1.9];
    const many = mul(ones([n, 2]), value) as Tensor;
    const whole = { ...options, condition: labels(1).of(new Array(n).fill(0)), x: many, shape: [n, 2] };
    for (const from of [-3, 0, 2]) {
      const found = mean(sdedit({ ...whole, from }), 0).dataSync();
      const kept = (alpha(from) * bell.std) ** 2 / scaled(from) ** 2;
      bell.mean.forEach((m, i) => {
        // Four standard errors, and the bias of the steps.
        expect(Math.abs((found[i] as number) - (m + kept * (value - m)))).toBeLessThan(
          4 * (bell.std / Math.sqrt(n)) + 0.02,
        );
      });
    }
  });

  test('starts from α x + σ n at the λ given', () => {
    const still: Sampler<null> = { ...ddim(), step: ({ z }, state) => ({ z: z.clone(), state }) };
    const noise = sample({ ...options, sampler: still });
    const start = sdedit({ ...options, sampler: still, from: 0.5 }).arraySync() as number[][];
    const [a, s] = [alpha(0.5), sigma(0.5)];
    expect(start[1]?.[0]).toBeCloseTo(a * 1.4 + s * ((noise.arraySync() as number[][])[1]?.[0] as number), 5);
    expectNoLeak(() => sdedit({ ...options, lambdas: [-1, 0, 2], from: -0.5 }));
    expect(() => sdedit({ ...options, x: zeros([1, 2]), from: 0 })).toThrow('x has shape [1, 2]; it must be [3, 2].');
    expect(() => sdedit({ ...options, from: Number.NaN })).toThrow(/lambdas\[0\] is NaN/);
  });
});

describe('repaint', () => {
  // Given a first coordinate of 1, the second is of the upper cluster with 99.9 %: mean 0.6.
  const clusters = gaussianMixture([
    { mean: [-0.6, -0.6], std: 0.4 },
    { mean: [0.6, 0.6], std: 0.4 },
  ]);
  const n = 1000;
  const known = ones([1, 2]) as Tensor;
  const mask = tensor2d([[1, 0]]);
  const options = {
    model: clusters.model,
    condition: labels(2).nullCondition(zeros([n], 'int32') as never),
    lambdas: grid(arctan({ lambdaMin: -10, lambdaMax: 10 }), 14),
    shape: [n, 2],
    key: key(2),
  };
  const paint = (times: number, jump = 1) =>
    sample({ ...options, sampler: repaint(ancestral(), { known, mask, times, jump }) }).arraySync() as number[][];
  const meanOf = (points: number[][]) => points.reduce((sum, [, second]) => sum + (second as number), 0) / n;

  test('keeps the known part and comes to paint what goes with it by going back', () => {
    const [once, often] = [paint(1), paint(10)];
    for (const [first] of often) expect(first).toBeCloseTo(1, 6);
    expect(Math.abs(meanOf(often) - 0.6)).toBeLessThan(0.05);
    expect(Math.abs(meanOf(once) - 0.6)).toBeGreaterThan(0.1);
    expect(Math.abs(meanOf(paint(10, 3)) - 0.6)).toBeLessThan(0.08);
  });

  test('leaks nothing', () => {
    const sampler = repaint(ancestral(), { known, mask, times: 3, jump: 2 });
    expectNoLeak(() => sample({ ...options, sampler, lambdas: [-3, -1, 0, 2] }));
    expect([...trajectory({ ...options, sampler, lambdas: [-3, 0] })].length).toBe(2);
  });
});
