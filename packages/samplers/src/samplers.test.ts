import {
  alpha,
  type EpsFunction,
  fold,
  gaussianMixture,
  key,
  labels,
  normal,
  posterior,
  sigma,
  type Value,
} from '@logsnr/core';
import { arctan, grid } from '@logsnr/schedules';
import { memory, type Tensor, type Tensor1D, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { ancestral, ddim, type Sampler, sample, trajectory, walk } from './index.js';
import { estimates } from './testing/runs.js';

const mixture = gaussianMixture([
  { mean: [-1, 0], std: 0.3 },
  { mean: [1, 0.6], std: 0.2, weight: 2 },
]);
const classes = labels(2);
function moments(x: Tensor) {
  const points = (x.arraySync() as number[][]) ?? [];
  const n = points.length;
  const mean = [0, 1].map((j) => points.reduce((sum, point) => sum + (point[j] as number), 0) / n);
  const centred = points.map((point) => point.map((value, j) => value - (mean[j] as number)));
  const covariance = [0, 1].flatMap((i) =>
    [0, 1].map((j) => centred.reduce((sum, p) => sum + (p[i] as number) * (p[j] as number), 0) / n),
  );
  return { mean, covariance };
}

test.each([undefined, 1])('samples have the mean and covariance of their class (%s)', (label) => {
  const n = 2000;
  const condition = label === undefined ? classes.null(n) : classes.of(new Array(n).fill(label));
  const options = { model: mixture.model, condition, lambdas: grid(arctan(), 200), shape: [n, 2], key: key(3) };
  const [found, exact] = [moments(sample({ ...options, sampler: ancestral({ v: 0.3 }) })), mixture.moments(label)];
  // Five standard errors of a mean, and of a second moment of a Gaussian (of a mixture it is smaller).
  const variance = Math.max(...exact.covariance);
  exact.mean.forEach((value, i) => {
    expect(Math.abs((found.mean[i] as number) - value)).toBeLessThan(5 * Math.sqrt(variance / n));
  });
  exact.covariance.forEach((value, i) => {
    expect(Math.abs((found.covariance[i] as number) - value)).toBeLessThan(5 * variance * Math.sqrt(2 / n));
  });
});

/** Float64 runs of the same step code with given noise. */
function run64(
  sampler: Sampler<null, Float64Array>,
  eps: (z: Float64Array, l: number) => Float64Array,
  grid64: number[],
  z: number[],
) {
  let x: Float64Array | undefined;
  const noise = (step: number, draw: number) => Float64Array.from(z, (_, i) => Math.sin(step + 10 * draw + 100 * i));
  for (const { z: at } of walk({ sampler, predict: estimates(eps), lambdas: grid64, z: Float64Array.from(z), noise }))
    x = at;
  return x as Float64Array;
}
const eps64 = (z: Float64Array, lambda: number) => mixture.eps(z, lambda);

describe('Algorithm 2, to the letter', () => {
  const by = (v: number) => {
    const [grid64, start] = [
      [-3, -1, 0.5, 2],
      [0.3, -0.8],
    ];
    let z = Float64Array.from(start);
    grid64.forEach((lambda, t) => {
      const eps = eps64(z, lambda);
      const x = z.map((value, i) => (value - sigma(lambda) * (eps[i] as number)) / alpha(lambda));
      const next = grid64[t + 1];
      if (next === undefined) z = x;
      else {
        const p = posterior(lambda, next, v);
        z = z.map(
          (value, i) => p.z * value + p.x * (x[i] as number) + Math.sqrt(p.variance) * Math.sin(t + 1 + 100 * i),
        );
      }
    });
    return { expected: z, found: run64(ancestral({ v }), eps64, grid64, start) };
  };
  test.each([0, 0.3, 1])('with v = %s, the last step included', (v) => {
    const { expected, found } = by(v);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 12);
    });
  });
});

describe('DDIM', () => {
  test('with η = 1 is ancestral sampling with v = 0', () => {
    const [a, b] = [
      run64(ddim({ eta: 1 }), eps64, [-6, -1, 2], [0.3, 1]),
      run64(ancestral(), eps64, [-6, -1, 2], [0.3, 1]),
    ];
    a.forEach((value, i) => {
      expect(value).toBeCloseTo(b[i] as number, 12);
    });
  });
});

test('float64 and tensor runs are the same code: they agree to float32 rounding', () => {
  const short = grid(arctan({ lambdaMin: -6, lambdaMax: 6 }), 10);
  const noise = (step: number, draw: number) => normal(fold(key(9), step, draw), [1, 2]);
  const start = normal(fold(key(9), 0, 0), [1, 2]);
  const tensorRun = sample({
    model: mixture.model,
    condition: classes.null(1),
    sampler: ancestral({ v: 0.3 }),
    lambdas: short,
    shape: [1, 2],
    key: key(9),
  }).dataSync();
  let numbers: Value = Float64Array.from(start.dataSync());
  const eps = (z: Float64Array, lambda: number) => mixture.eps(z, lambda);
  const fixed = (step: number, draw: number) => Float64Array.from(noise(step, draw).dataSync());
  const sampler = ancestral<Float64Array>({ v: 0.3 });
  for (const { z } of walk({ sampler, predict: estimates(eps), lambdas: short, z: numbers, noise: fixed })) numbers = z;
  tensorRun.forEach((value: number, i: number) => {
    expect(value).toBeCloseTo((numbers as Float64Array)[i] as number, 4);
  });
});

test('the model sees one λ a sample and the step is told where it is', () => {
  const seen: number[][] = [];
  const model: EpsFunction<Tensor1D> = (z, lambda) => {
    seen.push([...lambda.dataSync()]);
    return z.clone();
  };
  const steps = [
    ...trajectory({
      model,
      condition: tensor1d([0, 0]),
      sampler: ddim(),
      lambdas: [-1, 0, 4],
      shape: [2, 2],
      key: key(0),
    }),
  ];
  expect(seen).toEqual([
    [-1, -1],
    [0, 0],
    [4, 4],
  ]);
  expect(steps.map(({ step, steps, lambda }) => [step, steps, lambda])).toEqual([
    [1, 3, 0],
    [2, 3, 4],
    [3, 3, Number.POSITIVE_INFINITY],
  ]);
});

test('a sample may start from a given z, which stays the caller’s', () => {
  const z = tensor2d([[0.1, 0.2]]);
  const x = sample({
    model: (z) => z.clone(),
    condition: null,
    sampler: ddim(),
    lambdas: [0],
    shape: [1, 2],
    key: key(0),
    z,
  });
  expect(z.isDisposed).toBe(false);
  // x̂ = (z − σ z)/α with α = σ = √½.
  expect(x.dataSync()[0]).toBeCloseTo(0.1 * (Math.SQRT2 - 1), 6);
});

test('an error in the model leaks nothing', () => {
  const before = memory().numTensors;
  const model: EpsFunction<null> = () => {
    throw new Error('no weights');
  };
  expect(() =>
    sample({ model, condition: null, sampler: ddim(), lambdas: [0, 1], shape: [1, 2], key: key(0) }),
  ).toThrow('no weights');
  expect(memory().numTensors).toBe(before);
});

test('bad grids, shapes and settings are refused before any work', () => {
  const base = {
    model: mixture.model,
    condition: classes.of([0]),
    sampler: ddim(),
    lambdas: [0, 1],
    shape: [1, 2],
    key: key(0),
  };
  expect(() => trajectory({ ...base, lambdas: [1, 1] })).toThrow('lambdas[1] = 1 does not exceed lambdas[0] = 1');
  expect(() => trajectory({ ...base, lambdas: [] })).toThrow(/lambdas is empty/);
  expect(() => trajectory({ ...base, lambdas: [0, 1, 999] })).toThrow(
    /lambdas\[2\] is 999; a log-SNR lies within ±100 nats\. If these are time steps/,
  );
  expect(() => trajectory({ ...base, lambdas: [0, Number.NaN] })).toThrow('lambdas[1] is NaN');
  expect(() => trajectory({ ...base, shape: [0, 2] })).toThrow(/shape\[0\] is 0/);
  expect(() => trajectory({ ...base, z: tensor2d([[1, 2, 3]]) })).toThrow('z has shape [1, 3]; it must be [1, 2].');
  expect(() => trajectory({ ...base, firstSample: 0.5 })).toThrow(/firstSample is 0.5/);
  expect(() => ancestral({ v: 2 })).toThrow('v is 2; it must lie in [0, 1].');
  expect(() => ddim({ eta: Number.NaN })).toThrow(/eta is NaN/);
});
