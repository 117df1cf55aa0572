import type { Case, Variant } from './cases.js';

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
  /** The first call, in which a graph is captured or code is generated. */
  firstMs: number;
  /** The most memory that the variant's process held, in MiB. */
  peakMiB: number;
  /** Of sampling: the share of the time in which no graph ran. */
  outsideGraph?: number;
  /** Floating-point operations per second over the card's peak. */
  shareOfPeak?: number;
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

/** The rows with `ratioToTorch` filled in from the row of PyTorch eager in the same network, case and batch. */
export function withRatios(rows: readonly Row[]): Row[] {
  const cell = ({ network, case: what, batch }: Row) => `${network} ${what} ${batch}`;
  const torch = new Map(rows.filter((row) => row.variant === 'torch').map((row) => [cell(row), row.medianMs]));
  return rows.map((row) => {
    const reference = torch.get(cell(row));
    return { ...row, ratioToTorch: reference === undefined ? null : row.medianMs / reference };
  });
}

/** The largest difference between two lists of numbers; ∞ where they differ in length or hold a NaN. */
export function largestDifference(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
  return Number.isNaN(worst) ? Number.POSITIVE_INFINITY : worst;
}
