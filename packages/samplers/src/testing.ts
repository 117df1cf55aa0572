import type { Sampler } from './sampler.js';
import { borrowing, calls, extremes, float64, lastStep, pointMass, renoise } from './testing/on-numbers.js';
import { batches, compiles, leaks, marginals, pointMassOnTensors, seeds } from './testing/on-tensors.js';
import { order } from './testing/order.js';
import {
  type Check,
  type CheckName,
  checkNames,
  failed,
  messageOf,
  type Outcome,
  type Report,
} from './testing/report.js';
import { arctanGrid, evenGrid, type Grid, type Numbers, unevenGrid } from './testing/runs.js';

export { type Check, type CheckName, expectPassed, type Report } from './testing/report.js';

export interface TestOptions {
  /** The checks to make; all unless given. */
  only?: readonly CheckName[];
  /** True for a method with the coefficients of equal steps, which gets them; else steps differ and the paper's arctan grid is walked. */
  equalSteps?: boolean;
  /** False for a step that uses TensorFlow's operations: what needs float64 numbers, the order among it, is left out. */
  numbers?: boolean;
}

/**
 * Checks a sampler on models in closed form: that it runs on float64 numbers, its order of convergence, exactness on a
 * point mass, the last step, λ = ±20, model calls as declared, that it changes nothing it borrows, a second ε̂ to renoise with; and on
 * tensors, on the backend in use: mean, covariance and a two-sample test, invariance to batches, seeds, leaks, and the
 * step as a recorded program. Needs no test runner: see {@link expectPassed}.
 */
export function testSampler<S>(
  sampler: Sampler<S>,
  { only = checkNames, equalSteps = false, numbers = true }: TestOptions = {},
): Report {
  const unknown = only.find((name) => !checkNames.includes(name));
  if (unknown !== undefined)
    throw new RangeError(`there is no check "${unknown}"; there are "${checkNames.join('", "')}".`);
  const on64 = sampler as unknown as Numbers;
  const onTensors = sampler as Sampler;
  const grid: Grid = equalSteps ? (steps) => evenGrid(-20, 20, steps) : arctanGrid;
  const runs = numbers ? float64(on64) : null;
  const ifRuns = (check: (sampler: Numbers, grid: Grid) => Outcome) => () => (runs?.passed ? check(on64, grid) : null);
  const table: Record<CheckName, () => Outcome> = {
    float64: () => runs,
    order: ifRuns((sampler) => order(sampler, equalSteps ? evenGrid : unevenGrid)),
    'point mass': () => {
      const exact = ifRuns(pointMass)();
      return exact && !exact.passed ? exact : pointMassOnTensors(onTensors, grid);
    },
    'last step': ifRuns(lastStep),
    extremes: ifRuns(extremes),
    calls: ifRuns(calls),
    borrowing: ifRuns(borrowing),
    renoise: ifRuns(renoise),
    marginals: () => marginals(onTensors, grid),
    batches: () => batches(onTensors),
    seeds: () => seeds(onTensors, grid),
    leaks: () => leaks(onTensors, grid),
    compiles: () => compiles(onTensors),
  };
  const checks = checkNames
    .filter((name) => only.includes(name))
    .flatMap((name): Check[] => {
      const outcome = outcomeOf(table[name]);
      return outcome ? [{ name, ...outcome }] : [];
    });
  return { sampler: sampler.name, passed: checks.every((check) => check.passed), checks };
}

function outcomeOf(check: () => Outcome): Outcome {
  try {
    return check();
  } catch (error) {
    return failed(`it throws: ${messageOf(error)}`);
  }
}
