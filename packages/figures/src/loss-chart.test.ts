import { expect, test } from 'vitest';
import { dark, open } from '../test/open-png.js';
import { lossChart } from './index.js';

test('lossChart leaves out skipped steps and refuses to draw nothing', () => {
  const losses = Array.from({ length: 80 }, (_, i) => 1 / (i + 1));
  const png = open(lossChart(losses));
  expect(png.where(dark).length).toBeGreaterThan(100);
  const skipped = losses.map((loss, i) => (i === 40 ? Number.POSITIVE_INFINITY : loss));
  expect(lossChart(skipped)).not.toEqual(lossChart(losses));
  expect(() => lossChart([])).toThrow(/has no points/);
  expect(() => lossChart([0])).toThrow(/must be positive/);
});
