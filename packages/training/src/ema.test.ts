import { expect, test } from 'vitest';
import { ema } from './ema.js';

function averageOf(values: readonly number[], decay: number, warmup: boolean): number {
  const rule = ema(decay, { warmup });
  return values
    .slice(1)
    .reduce((average, value, step) => average + rule.blend(step) * (value - average), values[0] as number);
}

test('is the weighted sum of what it has seen', () => {
  const values = [3, -1, 4, 1, -5, 9];
  // Directly: the first value weighs d^5, the value of step i weighs (1 − d) d^(4−i).
  const d = 0.7;
  const direct = values.reduce((sum, value, i) => sum + value * (i === 0 ? d ** 5 : (1 - d) * d ** (5 - i)), 0);
  expect(averageOf(values, d, false)).toBeCloseTo(direct, 5);
});

test('with warm-up d = min(decay, (1 + step)/(10 + step))', () => {
  const at = (step: number) => 1 - ema(0.99).blend(step);
  expect(at(0)).toBeCloseTo(0.1, 12);
  expect(at(80)).toBeCloseTo(0.9, 12);
  expect(at(889)).toBeCloseTo(890 / 899, 12);
  expect(at(100_000)).toBeCloseTo(0.99, 12);
  let expected = 2;
  [5, 7, 1].forEach((value, step) => {
    const d = (1 + step) / (10 + step);
    expected = d * expected + (1 - d) * value;
  });
  expect(averageOf([2, 5, 7, 1], 0.99, true)).toBeCloseTo(expected, 5);
});

test('a decay out of range is refused', () => {
  for (const decay of [1, -0.1, Number.NaN]) expect(() => ema(decay)).toThrow(`decay is ${decay}`);
  expect(() => ema(0.9).blend(0.5)).toThrow(/step is 0.5/);
});
