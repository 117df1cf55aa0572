import { alpha, sigma } from '@logsnr/core';
import { modelCalls } from '../sampler.js';
import { bell, bellEps, lineEps } from './closed-forms.js';
import { type Law, lawSteps } from './law.js';
import { failed, figure, messageOf, type Outcome, passed } from './report.js';
import { evenGrid, type Grid, largest, type Numbers, type NumbersEps, rms, run64, steps64 } from './runs.js';

const target = Float64Array.of(0.4, -0.7);
const start = Float64Array.of(1.2, -0.3);
const walksOf = (grid: Grid) => ({ 'one step': [0], 'two steps': [-20, 20], '60 steps': grid(60) });

/** Whether the step runs on `Float64Array`s at all. */
export function float64(sampler: Numbers): Outcome {
  try {
    run64({ sampler, eps: lineEps, lambdas: evenGrid(-4, 4, 6), z: start });
    return passed('the step runs on float64 numbers.');
  } catch (error) {
    return failed(
      `the step does not run on float64 numbers (${messageOf(error)}). Write it with \`combine\`, \`predict\` and \`noise\`, or give the option { numbers: false } to check it on tensors alone.`,
    );
  }
}

/** All data in one point: every walk ends there, whatever its grid. */
export function pointMass(sampler: Numbers, grid: Grid): Outcome {
  for (const [name, lambdas] of Object.entries(walksOf(grid))) {
    const error = largest(run64({ sampler, eps: pointEps, lambdas, z: start }), target);
    // x̂ magnifies the rounding of ε by σ/α of the last model call.
    if (!(error < 1e-9 + 1e-13 / alpha(lambdas.at(-1) as number)))
      return failed(
        `with all data in one point, a walk of ${name} ends ${figure(error)} away from it. x̂ is exact there, so the last step must end at x̂ and the others must keep z = α x + σ ε.`,
      );
  }
  return passed('with all data in one point, walks end there.');
}

/** The model is called at finite λ alone, and nothing is added to x̂. */
export function lastStep(sampler: Numbers, grid: Grid): Outcome {
  for (const [name, lambdas] of Object.entries(walksOf(grid))) {
    const seen: number[] = [];
    let lateNoise = 0;
    const eps = (z: Float64Array, lambda: number) => {
      seen.push(lambda);
      lateNoise = 0;
      return bellEps(z, Number.isFinite(lambda) ? lambda : 0);
    };
    const noise = () => Float64Array.of(0.3 + 0 * lateNoise++, -0.2);
    const x = run64({ sampler, eps, lambdas, z: start, noise });
    const odd = seen.find((lambda) => !Number.isFinite(lambda));
    if (odd !== undefined)
      return failed(`in ${name}, the model is called at λ = ${odd}; the last step goes to +∞ and has no point there.`);
    if (lateNoise > 0)
      return failed(`in ${name}, noise is drawn after the last model call, so the result is x̂ with noise on it.`);
    if (!x.every(Number.isFinite)) return failed(`${name} end at ${x.join(', ')}.`);
  }
  return passed('the last step ends at clean data: the model is called at finite λ, and no noise comes after.');
}

/** From λ = −20 to 20: the law of a Gaussian comes out. */
export function extremes(sampler: Numbers, grid: Grid): Outcome {
  const law = [...lawSteps({ sampler, lambdas: grid(128) }, 0, 1)].at(-1) as Law;
  const [mean, std] = [law.mean, Math.sqrt(law.variance)];
  const found = `128 steps from λ = −20 to 20 make of N(0, 1) a mean of ${figure(mean)} and a standard deviation of ${figure(std)}; the data have ${bell.mean} and ${bell.std}`;
  const near = Math.abs(mean - bell.mean) < 0.1 && Math.abs(std / bell.std - 1) < 0.15;
  return near
    ? passed(`${found}.`)
    : failed(`${found}. Look for a difference of near numbers, an overflow, or a wrong move where |λ| is large.`);
}

/** The model calls that were made against those declared. */
export function calls(sampler: Numbers): Outcome {
  if (!sampler.calls) return passed('no number of model calls is declared.');
  const walks: [readonly number[], number | undefined][] = [
    [evenGrid(-8, 8, 12), undefined],
    [evenGrid(-8, 8, 12), 8],
    [[0], undefined],
    [[0, 1], undefined],
  ];
  for (const [lambdas, end] of walks) {
    let made = 0;
    const eps = (z: Float64Array, lambda: number) => {
      made++;
      return lineEps(z, lambda);
    };
    run64({ sampler, eps, lambdas, z: start, ...(end !== undefined && { end }) });
    const declared = modelCalls(sampler, lambdas, end);
    if (made !== declared)
      return failed(
        `a walk of ${lambdas.length} steps to λ = ${end ?? '+∞'} calls the model ${made} times; \`calls\` declares ${declared}.`,
      );
  }
  return passed('the model calls made are those declared.');
}

/** A step leaves z and its state as they were, and the same walk gives the same numbers again. */
export function borrowing(sampler: Numbers): Outcome {
  const lambdas = evenGrid(-8, 8, 12);
  const watched: Numbers = {
    ...sampler,
    step(context, state) {
      const { z, from } = context;
      const before = JSON.stringify([[...z], state]);
      const result = sampler.step(context, state);
      if (JSON.stringify([[...z], state]) !== before)
        throw new Error(`the step from λ = ${from} changes z or its state`);
      return result;
    },
  };
  try {
    const [one, two] = [watched, watched].map((s) => run64({ sampler: s, eps: lineEps, lambdas, z: start }));
    if (largest(one as Float64Array, two as Float64Array) > 0)
      return failed(
        'the same walk gives other numbers the second time: keep what changes in the state, not in the sampler.',
      );
  } catch (error) {
    return failed(`${messageOf(error)}; z and the state are borrowed: return new ones.`);
  }
  return passed('a step leaves z and its state as they were, and a walk can be repeated.');
}

/** With ε̂ itself to renoise with nothing changes; with another one the data still come from x̂. */
export function renoise(sampler: Numbers): Outcome {
  if (!sampler.renoises) return null;
  const lambdas = evenGrid(-8, 8, 12);
  const plain = [...steps64({ sampler, eps: lineEps, lambdas, z: start })].map(({ z }) => z);
  const same = [...steps64({ sampler, eps: lineEps, renoise: lineEps, lambdas, z: start })];
  const error = Math.max(...same.map(({ z }, i) => rms(z, plain[i] as Float64Array)));
  if (!(error < 1e-10))
    return failed(`with ε̂ itself to renoise with, results differ by ${figure(error)} from those without.`);
  const other: NumbersEps = (z) => z.map(() => 0.3);
  const away = largest(run64({ sampler, eps: pointEps, renoise: other, lambdas, z: start }), target);
  if (!(away < 1e-9))
    return failed(`with x̂ exact for one point, a walk ends ${figure(away)} away from it: the data must come from x̂.`);
  const moved = largest(
    run64({ sampler, eps: lineEps, renoise: other, lambdas, z: start, end: 8 }),
    plain.at(-1) as Float64Array,
  );
  return moved > 1e-3
    ? passed('ε̂ to renoise with changes nothing where it is ε̂, is used where it is not, and leaves the data to x̂.')
    : failed('another ε̂ to renoise with changes nothing: use `renoise` in the place of `eps` where it is there.');
}

/** ε when all data are `target`. */
const pointEps: NumbersEps = (z, lambda) =>
  z.map((value, i) => (value - alpha(lambda) * (target[i] as number)) / sigma(lambda));
