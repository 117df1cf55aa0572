import { type EpsFunction, eager, key, readModel, scales } from '@logsnr/core';
import { dispose, div, memory, mul, sub, type Tensor1D, tensor2d, tidy } from '@tensorflow/tfjs-core';
import { compileSampler } from '../compile-sampler.js';
import { sample, trajectory } from '../sample.js';
import type { Sampler } from '../sampler.js';
import { failed, figure, type Outcome, passed } from './report.js';
import { evenGrid, type Grid, largest, runTensors } from './runs.js';
import { energyDistance, energyThreshold, exactSamples, noLabels, plane } from './two-sample.js';

/** Mean, covariance and a two-sample test of samples of a mixture in the plane. */
export function marginals(sampler: Sampler, grid: Grid): Outcome {
  const n = 2000;
  const condition = noLabels(n);
  const x = runTensors({ sampler, model: plane.model, condition, lambdas: grid(100), shape: [n, 2] });
  condition.dispose();
  const exact = plane.moments();
  const mean = [0, 1].map((j) => x.reduce((sum, value, i) => sum + (i % 2 === j ? value : 0), 0) / n);
  const centred = (i: number, j: number) => (x[2 * i + j] as number) - (mean[j] as number);
  const covariance = [0, 1, 2, 3].map((at) => {
    const products = Array.from({ length: n }, (_, i) => centred(i, at >> 1) * centred(i, at % 2));
    return products.reduce((sum, product) => sum + product, 0) / n;
  });
  const variance = Math.max(...exact.covariance);
  // Five standard errors of a mean, and of a second moment of a Gaussian (of a mixture it is smaller).
  if (!(largest(mean, exact.mean) < 5 * Math.sqrt(variance / n)))
    return failed(`the samples' mean is ${list(mean)}; the data have ${list(exact.mean)}.`);
  if (!(largest(covariance, exact.covariance) < 5 * variance * Math.sqrt(2 / n)))
    return failed(
      `the samples' covariance is ${list(covariance)}; the data have ${list(exact.covariance)}. Look at the variance of the noise that a step adds.`,
    );
  const used = 300;
  const distance = energyDistance(Float64Array.from(x.subarray(0, 2 * used)), exactSamples(used, 0));
  const found = `the energy distance of ${used} samples to exact ones is ${figure(distance)}, with ${figure(energyThreshold(used))} as the threshold for samples of one law`;
  return distance < energyThreshold(used) ? passed(`mean and covariance are right; ${found}.`) : failed(`${found}.`);
}

const list = (values: ArrayLike<number>) => `[${Array.from(values, figure).join(', ')}]`;

/** All data in one point, on float32 tensors. */
export function pointMassOnTensors(sampler: Sampler, grid: Grid): Outcome {
  const target = tensor2d([[0.4, -0.7]]);
  const model: EpsFunction<null> = (z, lambda) =>
    tidy(() => {
      const { alpha, sigma } = scales(z, lambda);
      return div(sub(z, mul(alpha, target)), sigma);
    });
  try {
    for (const lambdas of [[0], [20], grid(60)]) {
      const error = largest(runTensors({ sampler, model, condition: null, lambdas, shape: [1, 2] }), [0.4, -0.7]);
      // ε̂ has float32 rounding, which the first steps magnify by their α'/α.
      if (!(error < 1e-3))
        return failed(`on tensors, all data in one point, a walk ends ${figure(error)} away from it.`);
    }
  } finally {
    target.dispose();
  }
  return passed('on tensors, with all data in one point, walks end there.');
}

/** A run in two batches gives the samples of the whole. */
export function batches(sampler: Sampler): Outcome {
  const run = (n: number, firstSample: number) => {
    const condition = noLabels(n);
    // Not the whole range, whose first steps magnify rounding by their α'/α.
    const lambdas = evenGrid(-6, 6, 12);
    const x = runTensors({ sampler, model: plane.model, condition, lambdas, shape: [n, 2], firstSample });
    condition.dispose();
    return x;
  };
  const difference = largest(run(5, 0), [...run(2, 0), ...run(3, 2)]);
  // A backend's kernels may round differently where a batch ends.
  const allowed = (sampler.tolerance ?? 0) + 1e-4;
  if (difference <= allowed) return passed(`a run in two batches differs by ${figure(difference)} from the whole.`);
  return failed(
    `a run in two batches differs by ${figure(difference)} from the whole; ${figure(allowed)} is allowed. A sample may depend on itself and its own noise alone; if the samples share a step size, declare a \`tolerance\`.`,
  );
}

/** The key decides. */
export function seeds(sampler: Sampler, grid: Grid): Outcome {
  const condition = noLabels(2);
  // The same start for all keys: what differs is the noise of the steps.
  const z = tensor2d([
    [0.3, -0.2],
    [0.3, -0.2],
  ]);
  const options = { sampler, model: plane.model, condition, lambdas: grid(8), shape: [2, 2], z };
  const run = (seed: number) => runTensors({ ...options, key: key(seed) });
  const [one, again, other] = [run(1), run(1), run(2)];
  dispose([condition, z]);
  if (largest(one, again) > 0)
    return failed('the same key gives other samples the second time; all noise must come from `noise`.');
  const apart = largest(one, other) > 0;
  const inBatch = largest(one.subarray(0, 2), one.subarray(2)) > 0;
  if (apart !== inBatch)
    return failed('two samples of a batch get the same noise, or a key none of its own; draw it with `noise`.');
  return passed(`the same key gives the same samples${apart ? ', and another key others' : '; steps draw no noise'}.`);
}

/** No tensor is left: whole, step by step, broken off, and after an error of the model. */
export function leaks(sampler: Sampler, grid: Grid): Outcome {
  const condition = noLabels(2);
  const options = { sampler, model: plane.model, condition, lambdas: grid(6), shape: [2, 2], key: key(0) };
  let calls = 0;
  const failing = readModel<Tensor1D>((z, lambda, c) => {
    if (++calls > 2) throw new Error('the kit');
    return plane.model.predict(z, lambda, c, null).eps;
  });
  const ways: [string, () => void][] = [
    ['a whole run', () => sample(options).dispose()],
    [
      'a walk broken off',
      () => {
        for (const { step } of trajectory(options)) if (step === 4) break;
      },
    ],
    [
      'an error of the model',
      () => {
        calls = 0;
        try {
          sample({ ...options, model: failing }).dispose();
        } catch (error) {
          if ((error as Error).message !== 'the kit') throw error;
        }
      },
    ],
  ];
  try {
    for (const [name, way] of ways) {
      way();
      const before = memory().numTensors;
      way();
      const left = memory().numTensors - before;
      if (left !== 0)
        return failed(
          `${name} leaves ${left} tensors; a step runs in \`tidy\` and may keep none (\`keep\`) for itself.`,
        );
    }
  } finally {
    condition.dispose();
  }
  return passed('no tensor is left by a whole run, one broken off, or an error of the model.');
}

/** The step as a recorded program gives what the step gives. */
export function compiles(sampler: Sampler): Outcome {
  if (sampler.compiles === false) return null;
  const { model } = plane;
  const condition = noLabels(3);
  const options = { condition, lambdas: evenGrid(-6, 6, 8), shape: [3, 2], key: key(3) };
  try {
    const [own, recorded] = [
      sample({ ...options, model, sampler }),
      compileSampler(eager, { model, sampler }).sample(options),
    ];
    const difference = largest(own.dataSync(), recorded.dataSync());
    dispose([own, recorded]);
    return difference < 1e-3
      ? passed(`the recorded step differs by ${figure(difference)} from the step.`)
      : failed(`the recorded step differs by ${figure(difference)} from the step; does it depend on values of z?`);
  } catch (error) {
    return failed(`${(error as Error).message} If that is how it must be, declare \`compiles: false\`.`);
  } finally {
    condition.dispose();
  }
}
