/** One thing that was checked of a sampler. */
export interface Check {
  readonly name: CheckName;
  readonly passed: boolean;
  /** What was found, against what; where it failed, what to look for. */
  readonly message: string;
}

/** All that was checked of a sampler. */
export interface Report {
  readonly sampler: string;
  readonly passed: boolean;
  readonly checks: readonly Check[];
}

/** The checks of the kit, in their order. */
export const checkNames = [
  'float64',
  'order',
  'point mass',
  'last step',
  'extremes',
  'calls',
  'borrowing',
  'renoise',
  'marginals',
  'batches',
  'seeds',
  'leaks',
  'compiles',
] as const;

export type CheckName = (typeof checkNames)[number];

/** A check's outcome without its name; null where it does not apply to the sampler. */
export type Outcome = { passed: boolean; message: string } | null;

export const passed = (message: string): Outcome => ({ passed: true, message });
export const failed = (message: string): Outcome => ({ passed: false, message });

/**
 * Throws an `Error` that lists what failed, one line a check; for any test runner, or none.
 * @returns the report, when all passed.
 */
export function expectPassed(report: Report): Report {
  if (report.passed) return report;
  const lines = report.checks.filter((check) => !check.passed).map(({ name, message }) => `  ${name}: ${message}`);
  throw new Error(`the sampler "${report.sampler}" does not pass:\n${lines.join('\n')}`);
}

/** What was thrown, in words. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const figure = (value: number): string =>
  Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
