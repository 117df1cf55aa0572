import { expect, test } from 'vitest';
import { insert, markdown, ms } from './markdown.js';
import { largestDifference, median, type Row, summary, withRatios } from './statistics.js';

const row = (change: Partial<Row>): Row => ({
  network: 'a',
  case: 'forward',
  variant: 'compiled',
  batch: 16,
  ...summary([30, 10, 20]),
  ratioToTorch: null,
  firstMs: 100,
  peakMiB: 512,
  ...change,
});

test('the median of an odd and of an even number of runs, and the ends', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow('no values');
  expect(summary([30, 10, 21])).toEqual({ medianMs: 21, minMs: 10, maxMs: 30, runs: 3 });
});

test('ratios are taken within the same network, case and batch', () => {
  const rows = withRatios([
    row({}),
    row({ variant: 'torch', medianMs: 40 }),
    row({ batch: 1 }),
    row({ case: 'train' }),
    row({ network: 'b', variant: 'torch', medianMs: 5 }),
  ]);
  expect(rows.map(({ ratioToTorch }) => ratioToTorch)).toEqual([0.5, 1, null, null, 1]);
});

test('a difference counts what is missing and what is no number', () => {
  expect(largestDifference([1, 2], [1.5, 1.75])).toBe(0.5);
  expect(largestDifference([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
  expect(largestDifference([Number.NaN, 1], [1, 1])).toBe(Number.POSITIVE_INFINITY);
});

test('the table names the command and shows medians, ratios and spread', () => {
  const rows = withRatios([row({}), row({ variant: 'torch', medianMs: 40 }), row({ batch: 64 })]);
  const text = markdown(rows, { command: 'pnpm bench', facts: ['2 cores'], notes: ['a note'] });
  expect(text).toContain('`pnpm bench`\n\n- 2 cores\n');
  expect(text).toContain('| network | compiled | torch |');
  expect(text).toContain('| a, batch 16 | 20.0 (0.50) | 40.0 |');
  expect(text).toContain('| a, batch 64 | 20.0 | – |');
  expect(text).toContain('| a | forward | 16 | compiled | 20.0 | 10.0 – 30.0 | 3 | 0.50 | 100 | 512 |');
  expect(text).toMatch(/- a note$/);
});

test('a document keeps what surrounds its table', () => {
  const once = insert('# Title\n', 'one');
  expect(once).toBe('# Title\n\n<!-- bench: begin -->\n\none\n\n<!-- bench: end -->\n');
  expect(insert(`${once}After.\n`, 'two')).toBe(`${once.replace('one', 'two')}After.\n`);
});

test('times have three digits that count', () => {
  expect([ms(1234.5), ms(99.96), ms(12.34), ms(1.239)]).toEqual(['1235', '100', '12.3', '1.24']);
});
