import { bellAt, lineEps, lineFlow } from './closed-forms.js';
import { lawSteps } from './law.js';
import { failed, figure, type Outcome, passed } from './report.js';
import { isStochastic, type Numbers, rms, steps64, unevenGrid } from './runs.js';

const [first, end] = [-16, 8];
/** Where errors are taken, as parts of the walk: not near its end, where a sampler may take a lower order. */
const parts = [5 / 8, 6 / 8, 7 / 8];
const starts = Float64Array.of(-1.7, -1.1, -0.6, -0.2, 0.2, 0.7, 1.3);
const flows = parts.map((part) => lineFlow(starts, first, first + part * (end - first)));

/** The distance to the exact flow of a mixture, of seven points at three λ. */
export function flowError(sampler: Numbers, steps: number, grid = unevenGrid): number {
  const errors: number[] = [];
  for (const { z, step } of steps64({ sampler, eps: lineEps, lambdas: grid(first, end, steps), end, z: starts })) {
    const flow = flows[parts.indexOf(step / steps)];
    if (flow) errors.push(rms(z, flow));
  }
  return Math.hypot(...errors) / Math.sqrt(errors.length);
}

/** The distance of the law of z to the exact one of a Gaussian, mean and relative variance at three λ. */
export function lawError(sampler: Numbers, steps: number, grid = unevenGrid): number {
  const start = bellAt(first);
  const errors: number[] = [];
  const run = { sampler, lambdas: grid(first, end, steps), end };
  for (const { step, lambda, mean, variance } of lawSteps(run, start.mean, Math.sqrt(start.variance))) {
    if (!parts.includes(step / steps)) continue;
    const exact = bellAt(lambda);
    errors.push(mean - exact.mean, variance / exact.variance - 1);
  }
  return Math.hypot(...errors) / Math.sqrt(errors.length);
}

/** The measured order against the declared one; for steps of a sampler's own choice the error against its tolerance. */
export function order(sampler: Numbers, grid: typeof unevenGrid): Outcome {
  const stochastic = isStochastic(sampler);
  const error = stochastic ? lawError : flowError;
  const what = stochastic ? 'the error of mean and variance' : 'the error';
  if (sampler.tolerance !== undefined) {
    const found = error(sampler, 64, grid);
    const message = `${what} is ${figure(found)}, with a tolerance of ${figure(sampler.tolerance)}.`;
    return found <= sampler.tolerance ? passed(message) : failed(message);
  }
  const steps = stochastic ? 128 : 512;
  const [coarse, fine] = [error(sampler, steps, grid), error(sampler, 2 * steps, grid)];
  const measured = Math.log2(coarse / fine);
  const found = `${what} is ${figure(coarse)} with ${steps} steps and ${figure(fine)} with ${2 * steps}, which is order ${figure(measured)}; declared: ${sampler.order}`;
  const above = measured - sampler.order;
  // Of a law, terms of higher order die out late: at least the order it is.
  if (above > -0.15 && (above < 0.15 || stochastic)) return passed(`${found}.`);
  if (measured > sampler.order) return failed(`${found}. If that is no accident, declare the higher order.`);
  return failed(
    measured < 0.5
      ? `${found}. The error stays: the steps go elsewhere, as with a wrong coefficient, variance or sign.`
      : `${found}. A coefficient of the higher order is wrong, or the state it needs is lost or stale.`,
  );
}
