import { type Case, isRival, precisionOf, type Variant } from './cases.js';

/** One line of the result. Times are milliseconds of wall clock. */
export interface Row {
  network: string;
  case: Case;
  variant: Variant;
  batch: number;
  medianMs: number;
  minMs: number;
  maxMs: number;
  runs: number;
  /** Median over PyTorch eager's median in the same case; null where that was not measured. */
  ratioToTorch: number | null;
  /** Median over that of the fastest rival in the same case: of a float32 one, or of any where the row is of bfloat16. */
  ratioToBest: number | null;
  /** Which rival that is. */
  bestRival: Variant | null;
  /** The first call, in which a graph is captured or code is generated. */
  firstMs: number;
  /** The most memory that the variant's process held, in MiB. */
  peakMiB: number;
  /** Of sampling: the share of the time in which no graph ran. */
  outsideGraph?: number;
  /** Floating-point operations per second over the peak that was measured in the row's precision. */
  shareOfPeak?: number;
  /** Of sampling: the DDIM steps of a call. */
  steps?: number;
}

/** @throws RangeError when there are no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new RangeError('there are no values to take the median of.');
  return (low + high) / 2;
}

/** Middle, ends and number of the runs' times. */
export const summary = (times: readonly number[]): Pick<Row, 'medianMs' | 'minMs' | 'maxMs' | 'runs'> => ({
  medianMs: median(times),
  minMs: Math.min(...times),
  maxMs: Math.max(...times),
  runs: times.length,
});

/** The rows with their ratios to the rivals of the same network, case and batch. */
export function withRatios(rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const rivals = rows
      .filter(({ network, batch, variant }) => network === row.network && batch === row.batch && isRival(variant))
      .filter((rival) => rival.case === row.case)
      .sort((a, b) => a.medianMs - b.medianMs);
    const ratio = (rival?: Row) => (rival ? row.medianMs / rival.medianMs : null);
    const best = rivals.find(({ variant }) => [precisionOf(row.variant), 'float32'].includes(precisionOf(variant)));
    return {
      ...row,
      ratioToTorch: ratio(rivals.find(({ variant }) => variant === 'torch')),
      ratioToBest: ratio(best),
      bestRival: best?.variant ?? null,
    };
  });
}

/** The largest difference between two lists of numbers; ∞ where they differ in length or hold a NaN. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
  return Number.isNaN(worst) ? Number.POSITIVE_INFINITY : worst;
}
