import {
  alpha,
  convert,
  defineModel,
  type EpsFunction,
  epsOf,
  estimateFrom,
  type Model,
  ONE_CALL,
  sigma,
} from '@logsnr/core';
import { mul, type Tensor, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { dynamicThreshold, staticThreshold, thresholdX } from './index.js';

/** Two samples of five numbers; |x| sorted: 0 0.5 1 2 4 and 0.1 0.2 0.3 0.4 0.5. */
const x = [4, -1, 0, 0.5, -2, 0.1, -0.2, 0.3, -0.4, 0.5];
const numbers = (threshold: ReturnType<typeof dynamicThreshold>) => [...threshold(Float64Array.from(x), 2)];
const tensors = (threshold: ReturnType<typeof dynamicThreshold>) => [
  ...threshold(tensor2d(x, [2, 5]) as Tensor, 2).dataSync(),
];

describe.each([
  ['numbers', numbers, 15],
  ['tensors', tensors, 6],
] as const)('on %s', (_name, on, digits) => {
  const expectClose = (found: number[], expected: number[]) => {
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, digits);
    });
  };

  test('static clips', () => {
    expectClose(on(staticThreshold()), [1, -1, 0, 0.5, -1, 0.1, -0.2, 0.3, -0.4, 0.5]);
    expectClose(on(staticThreshold(-0.25, 0.3)), [0.3, -0.25, 0, 0.3, -0.25, 0.1, -0.2, 0.3, -0.25, 0.3]);
  });

  test('dynamic takes s = max(1, quantile) of each sample, on the line between its neighbours', () => {
    // Ratio 0.9 of five: 3.6, so 2 + 0.6 · 2 = 3.2; the second sample stays below 1 and as it is.
    expectClose(on(dynamicThreshold({ ratio: 0.9 })), [1, -1 / 3.2, 0, 0.5 / 3.2, -2 / 3.2, 0.1, -0.2, 0.3, -0.4, 0.5]);
    expectClose(on(dynamicThreshold({ ratio: 1 })), [1, -0.25, 0, 0.125, -0.5, 0.1, -0.2, 0.3, -0.4, 0.5]);
    // Ratio 0.75 falls on the value 2 itself, ratio 0 on the smallest.
    expectClose(on(dynamicThreshold({ ratio: 0.75 })), [1, -0.5, 0, 0.25, -1, 0.1, -0.2, 0.3, -0.4, 0.5]);
    expectClose(on(dynamicThreshold({ ratio: 0 })), [1, -1, 0, 0.5, -1, 0.1, -0.2, 0.3, -0.4, 0.5]);
  });

  test('maxValue bounds s, below 1 too', () => {
    expectClose(on(dynamicThreshold({ ratio: 0.9, maxValue: 2 })), [1, -0.5, 0, 0.25, -1, 0.1, -0.2, 0.3, -0.4, 0.5]);
    expectClose(on(dynamicThreshold({ maxValue: 0.25 })), [1, -1, 0, 1, -1, 0.4, -0.8, 1, -1, 1]);
  });
});

test('agrees with torch.quantile', () => {
  // torch.quantile(torch.tensor([.9, 3.1, 2.2, 1.7, .3], dtype=torch.float64), .87) = 2.632
  const found = dynamicThreshold({ ratio: 0.87 })(Float64Array.of(0.9, 3.1, 2.2, 1.7, 0.3), 1);
  expect(found[0]).toBeCloseTo(0.9 / 2.632, 14);
});

describe('thresholdX', () => {
  const eps: EpsFunction<null> = (z) => mul(z, 0.25);
  const z = tensor2d([
    [0.3, 0.1],
    [4, 2],
  ]);
  const lambda = tensor1d([1, -1]);

  test('x̂ of the new ε is the old x̂ within bounds; where that changes nothing, ε is the same bit for bit', () => {
    const found = [...epsOf(thresholdX(eps, dynamicThreshold({ ratio: 1 })))(z, lambda, null).dataSync()];
    expect(found.slice(0, 2)).toEqual([...eps(z, lambda, null).dataSync()].slice(0, 2));
    const toX = convert('eps', 'x', -1);
    const xs = found.slice(2).map((value, i) => toX.z * ([4, 2][i] as number) + toX.output * value);
    expect(xs[0]).toBeCloseTo(1, 5);
    expect(xs[1]).toBeCloseTo(0.5, 5);
  });

  test('keepEps: the data from the new ε, the noise from the model’s own; a model with two parts keeps its second', () => {
    const values = (tensor: Tensor | null) => [...(tensor as Tensor).dataSync()];
    const clipped = thresholdX(eps, staticThreshold());
    const kept = thresholdX(eps, staticThreshold(), { keepEps: true });
    const at = (model: Model<null>) => model.predict(z, lambda, null, null);
    expect([clipped.gives.renoise, kept.gives.renoise]).toEqual([false, true]);
    expect(at(clipped).renoise).toBeNull();
    for (const part of ['x', 'eps'] as const) expect(values(at(kept)[part])).toEqual(values(at(clipped)[part]));
    expect(values(at(kept).renoise)).toEqual(values(eps(z, lambda, null)));
    const two = defineModel<null>({
      predict: (z, lambda) => ({ ...estimateFrom('eps', mul(z, 0.25), z, lambda), renoise: mul(z, 3) }),
      cost: () => ONE_CALL,
      gives: { renoise: true },
    });
    for (const keepEps of [false, true]) {
      const found = at(thresholdX(two, staticThreshold(), { keepEps }));
      expect(values(found.eps)).toEqual(values(at(clipped).eps));
      expect(values(found.renoise)).toEqual(values(mul(z, 3)));
    }
    expectNoLeak(() => ({ ...at(kept) }) as never);
  });

  test('leaks nothing', () => {
    expectNoLeak(() => epsOf(thresholdX(eps, staticThreshold()))(z, lambda, null));
    expectNoLeak(() => epsOf(thresholdX(eps, dynamicThreshold({ ratio: 0.8 })))(z, lambda, null));
  });

  test('a point mass beyond the bounds is drawn to them', () => {
    const truth: EpsFunction<null> = (z) => {
      const [a, s] = [alpha(0), sigma(0)];
      return tensor2d([...z.dataSync()].map((value) => [(value - a * 3) / s]));
    };
    const [found] = epsOf(thresholdX(truth, staticThreshold()))(tensor2d([[0.2]]), tensor1d([0]), null).dataSync();
    expect((0.2 - sigma(0) * (found as number)) / alpha(0)).toBeCloseTo(1, 5);
  });
});

test('bad bounds and sizes are refused', () => {
  expect(() => staticThreshold(1, 1)).toThrow(/the bounds are \[1, 1\]/);
  expect(() => dynamicThreshold({ ratio: 1.1 })).toThrow('ratio is 1.1; it must lie in [0, 1].');
  expect(() => dynamicThreshold({ maxValue: 0 })).toThrow('maxValue is 0; it must be above 0.');
  expect(() => dynamicThreshold()(new Float64Array(10), 4)).toThrow(/the numbers of a sample is 2.5/);
});
