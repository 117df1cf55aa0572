import { type GaussianMixture, gaussianMixture, labels, type Memory, type WeightedModel } from '@logsnr/core';
import { dispose, type Tensor1D, tensor1d, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { c, classes, counted, lambda, mixture, values, z } from '../test/tools.js';
import {
  classifierFree,
  classifierGuidance,
  composed,
  interval,
  negative,
  product,
  tilted,
  tiltedByClassifier,
} from './index.js';

/** log W that a model gives the points between two λ, at which they stay. */
function gained<C>(model: WeightedModel<C>, points: readonly (readonly number[])[], from: number, to: number, c: C) {
  return tidy(() => {
    const [n, d] = [points.length, (points[0] as number[]).length];
    const at = (lambda: number, memory: Memory) =>
      model.predict(tensor2d(points as number[][]), tensor1d(new Array(n).fill(lambda)), c, memory).memory;
    return [...model.logWeights(at(to, at(from, model.start(n, [d])))).dataSync()];
  });
}

/**
 * What d log W/dλ must be for weighted samples of dz = (½ σ² z + σ² s̃) dλ + σ dW to have the density p̃, up to a constant: the
 * Fokker–Planck equation, ∂_λ log p̃ + ½ σ² (d + z·s̃ + Δ log p̃ + ‖s̃‖²), by finite differences of log p̃ in float64.
 */
function rateOf(logDensity: (z: readonly number[], lambda: number) => number, z: readonly number[], lambda: number) {
  const h = 1e-3;
  const variance = 1 / (1 + Math.exp(lambda));
  const moved = (i: number, by: number) => z.map((value, j) => (i === j ? value + by : value));
  const middle = logDensity(z, lambda);
  let rate = (logDensity(z, lambda + h) - logDensity(z, lambda - h)) / (2 * h);
  for (const [i, value] of z.entries()) {
    const [up, down] = [logDensity(moved(i, h), lambda), logDensity(moved(i, -h), lambda)];
    const slope = (up - down) / (2 * h);
    rate += (variance / 2) * (1 + value * slope + (up + down - 2 * middle) / h ** 2 + slope ** 2);
  }
  return rate;
}

const { model } = mixture;
const log = (label?: number) => (z: readonly number[], lambda: number) => mixture.logDensity(z, lambda, label);
const points = [
  [0.2, 0.1],
  [-1.5, 0.6],
  [0.8, -0.9],
  [2, 1.5],
];
const four = (label: number) => classes.of([label, label, label, label]);
const none = classes.null(4);

const cases: [what: string, model: WeightedModel<never>, condition: unknown, logDensity: ReturnType<typeof log>][] = [
  ...[-0.5, 0.7, 4].map((w): (typeof cases)[number] => [
    `tilted, w = ${w}`,
    tilted(model, classes, w) as never,
    four(1),
    (z, l) => (1 + w) * log(1)(z, l) - w * log()(z, l),
  ]),
  [
    'split',
    tilted(model, classes, 2, { evaluation: 'split' }) as never,
    four(0),
    (z, l) => 3 * log(0)(z, l) - 2 * log()(z, l),
  ],
  [
    'away from another condition',
    product(model, classes, [2.5, -1.5]) as never,
    [four(0), four(2)],
    (z, l) => 2.5 * log(0)(z, l) - 1.5 * log(2)(z, l),
  ],
  [
    'composed of two conditions',
    product(model, classes, [1.5, 1.2, -1.7]) as never,
    [four(0), four(1), none],
    (z, l) => 1.5 * log(0)(z, l) + 1.2 * log(1)(z, l) - 1.7 * log()(z, l),
  ],
  [
    'a condition left out',
    product(model, classes, [0, 3, -2]) as never,
    [four(0), four(1), none],
    (z, l) => 3 * log(1)(z, l) - 2 * log()(z, l),
  ],
  ['p^β, β = 2.5', product(model, classes, [2.5]) as never, [none], (z, l) => 2.5 * log()(z, l)],
  ['p^β, β = 0.4', product(model, classes, [0.4]) as never, [none], (z, l) => 0.4 * log()(z, l)],
  [
    'sum 2',
    product(model, classes, [1.5, 0.5]) as never,
    [four(0), four(1)],
    (z, l) => 1.5 * log(0)(z, l) + 0.5 * log(1)(z, l),
  ],
  [
    'sum 1/2',
    product(model, classes, [1.5, -1]) as never,
    [four(2), four(1)],
    (z, l) => 1.5 * log(2)(z, l) - log(1)(z, l),
  ],
  [
    'by a classifier',
    tiltedByClassifier(model, mixture.logPosterior, 1.5) as never,
    four(1),
    (z, l) => 2.5 * log(1)(z, l) - 1.5 * log()(z, l),
  ],
  [
    'by a classifier around an unconditional model',
    tiltedByClassifier(
      (z, l, c: Tensor1D) => tidy(() => model.predict(z, l, classes.nullCondition(c), null).eps),
      mixture.logPosterior,
      1.5,
      { around: 'unconditional' },
    ) as never,
    four(1),
    (z, l) => 1.5 * log(1)(z, l) - 0.5 * log()(z, l),
  ],
];

test.each(cases)(
  '%s: weights are those that the Fokker–Planck equation asks for',
  (_, model, condition, logDensity) => {
    for (const lambda of [-3, 0, 2]) {
      const found = gained(model, points, lambda, lambda + 1e-2, condition as never).map((log) => log / 1e-2);
      const wanted = points.map((z) => rateOf(logDensity, z, lambda + 5e-3));
      const scale = Math.max(...wanted.map((rate) => Math.abs(rate - (wanted[0] as number))));
      for (const [i, rate] of found.entries())
        expect(Math.abs(rate - (found[0] as number) - ((wanted[i] as number) - (wanted[0] as number)))).toBeLessThan(
          2e-3 * scale,
        );
    }
  },
);

test('weights begin at 0, are the trapezoidal rule, and can be set', () => {
  const weighted = tilted(model, classes, 2);
  const at = (from: number, to: number) => gained(weighted, points, from, to, four(1));
  const rates = [-1, 0.5].map((l) => points.map((z) => 3 * norm2(difference(mixture, z, l))));
  at(-1, 0.5).forEach((log, i) => {
    expect(log).toBeCloseTo(0.75 * ((rates[0]?.[i] as number) + (rates[1]?.[i] as number)), 4);
  });
  tidy(() => {
    const memory = weighted.start(4, [2]);
    expect([...weighted.logWeights(memory).dataSync()]).toEqual([0, 0, 0, 0]);
    const set = weighted.withLogWeights(memory, tensor1d([1, 2, 3, 4]));
    expect([...weighted.logWeights(set).dataSync()]).toEqual([1, 2, 3, 4]);
  });
});

const difference = ({ eps }: GaussianMixture, z: readonly number[], lambda: number) =>
  eps(z, lambda, 1).map((value, i) => value - (eps(z, lambda)[i] as number));
const norm2 = (values: Float64Array) => values.reduce((sum, value) => sum + value ** 2, 0);

describe('the predictions', () => {
  test('are those of guidance, bit for bit', () => {
    for (const w of [0, 0.3, -0.5, 3])
      expect(values(tilted(model, classes, w))).toEqual(values(classifierFree(model, classes, w)));
    expect(values(tiltedByClassifier(model, mixture.logPosterior, 2))).toEqual(
      values(classifierGuidance(model, mixture.logPosterior, 2)),
    );
    expect(values(tiltedByClassifier(model, mixture.logPosterior, 0))).toEqual(values(model));
  });

  test('are those of negative and composed conditions', () => {
    const [other, all] = [classes.of([1, 2, 0]), classes.null(3)];
    const predicted = <C>(like: Pick<WeightedModel<C>, 'predict' | 'start'>, condition: C) =>
      tidy(() => {
        const { x, eps } = like.predict(z, lambda, condition, like.start(3, [2]));
        return [...x.dataSync(), ...eps.dataSync()];
      });
    const close = (a: number[], b: number[]) =>
      a.forEach((value, i) => {
        expect(value).toBeCloseTo(b[i] as number, 4);
      });
    close(
      predicted(product(model, classes, [2.5, -1.5]), [c, other]),
      predicted(negative(model, classes, 1.5), { condition: c, negative: other }),
    );
    close(
      predicted(product(model, classes, [1.5, 1.2, -1.7]), [c, other, all]),
      predicted(composed(model, classes, [0.5, 0.2]), [c, other]),
    );
  });

  test('of p^β are β ε, and x̂ belongs to z', () => {
    const [cold] = [product(model, classes, [2])];
    tidy(() => {
      const { eps, x } = cold.predict(z, lambda, [c], cold.start(3, [2]));
      const own = values(model);
      eps.dataSync().forEach((value, i) => {
        expect(value).toBeCloseTo(2 * (own[i] as number), 5);
      });
      const [zs, xs, es] = [z, x, eps].map((tensor) => tensor.dataSync());
      for (const [i, l] of [-2, -2, 0, 0, 3, 3].entries())
        expect(
          Math.sqrt(1 / (1 + Math.exp(-l))) * (xs?.[i] as number) +
            Math.sqrt(1 / (1 + Math.exp(l))) * (es?.[i] as number),
        ).toBeCloseTo(zs?.[i] as number, 5);
    });
  });

  test('cost what is asked for: nothing for an exponent of 0', () => {
    const { count, wrapped } = counted(model);
    values(tilted(wrapped, classes, 0));
    expect(count).toEqual({ calls: 1, samples: 3 });
    expect(tilted(model, classes, 0).cost(0)).toMatchObject({ evaluations: 1 });
    expect(tilted(model, classes, 1).cost(0)).toMatchObject({ calls: 1, evaluations: 2 });
    expect(product(model, classes, [1, 0, 2, -1], { evaluation: 'split' }).cost(0)).toMatchObject({
      calls: 3,
      batch: 1,
    });
    expect(tiltedByClassifier(model, mixture.logPosterior, 1).cost(0)).toMatchObject({ calls: 2, gradients: 1 });
  });
});

test('noise has the density of the exponents’ sum', () => {
  expect(product(model, classes, [4]).startStd).toBe(0.5);
  for (const w of [0.1, 0.7, 12.3]) expect(tilted(model, classes, w).startStd).toBe(1);
});

test('what a weight cannot be is refused', () => {
  expect(() => tilted(model, classes, interval(1, { lambda: [0, 1] }) as never)).toThrow(
    /^w is a schedule of λ; it must be one number\. .* log p\(c\|z_λ\)/,
  );
  expect(() => tiltedByClassifier(model, mixture.logPosterior, (() => 1) as never)).toThrow('w is a function of λ');
  expect(() => tilted(model, classes, Number.NaN)).toThrow('w is NaN');
  expect(() => product(model, classes, [])).toThrow('the exponents [] have the sum 0; it must be above 0');
  expect(() => product(model, classes, [1, -1])).toThrow('have the sum 0');
  expect(() => product(model, classes, [Number.POSITIVE_INFINITY])).toThrow('exponents[0] is Infinity');
  expect(() => gained(product(model, classes, [1, 1]), points, 0, 1, [none])).toThrow(
    'there are 1 conditions and 2 exponents; give one for each',
  );
  expect(() => tiltedByClassifier(model, mixture.logPosterior, 1, { around: 'null' as never })).toThrow('"null"');
});

test('no tensor is left', () => {
  const one = gaussianMixture([{ mean: [0], std: 1 }]);
  const condition = labels(1).of([0]);
  const at = { z: tensor2d([[0.3]]), lambda: tensor1d([0]) };
  for (const weighted of [
    tilted(one.model, labels(1), 1),
    tilted(one.model, labels(1), 0),
    tiltedByClassifier(one.model, one.logPosterior, 1),
  ])
    expectNoLeak(() => {
      const start = weighted.start(1, [1]);
      const { memory, ...rest } = weighted.predict(at.z, at.lambda, condition, start);
      const next = weighted.predict(at.z, at.lambda, condition, memory);
      dispose([start, memory, rest, next] as never);
    });
});
