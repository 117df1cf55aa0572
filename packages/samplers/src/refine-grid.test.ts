import { gaussianMixture } from '@logsnr/core';
import { arctan, grid, karras, refineGrid, uniform } from '@logsnr/schedules';
import { describe, expect, test } from 'vitest';
import { ddim, walk } from './index.js';
import { estimates } from './testing/runs.js';

describe('refineGrid', () => {
  test('finds the grid that is known to be best', () => {
    // Σ h² is least where all steps h are the same.
    const squares = (lambdas: readonly number[]) =>
      lambdas.slice(1).reduce((sum, lambda, i) => sum + (lambda - (lambdas[i] as number)) ** 2, 0);
    const found = refineGrid([-4, -3.9, -3.8, -1, 4], squares, { rounds: 40 });
    [-4, -2, 0, 2, 4].forEach((lambda, i) => {
      expect(found[i]).toBeCloseTo(lambda, 1);
    });
  });

  test('a walk along the refined grid errs less than along any it may start from', () => {
    const mixture = gaussianMixture([
      { mean: [-1, 0], std: 0.2 },
      { mean: [1, 0.5], std: 0.3 },
    ]);
    const starts = Array.from({ length: 8 }, (_, i) =>
      Float64Array.of(2 * Math.cos((i * Math.PI) / 4), 1.3 * Math.sin((i * Math.PI) / 4)),
    );
    const end = (lambdas: readonly number[], z: Float64Array) => {
      let x = z;
      for (const step of walk({
        sampler: ddim<Float64Array>(),
        predict: estimates((z, lambda) => mixture.eps(z, lambda)),
        lambdas,
        z,
        noise: () => new Float64Array(2),
      }))
        x = step.z;
      return x;
    };
    const range = { lambdaMin: -8, lambdaMax: 8 };
    const exact = starts.map((z) => end(grid(uniform(range), 4000), z));
    const error = (lambdas: readonly number[]) =>
      Math.sqrt(
        starts.reduce((sum, z, i) => {
          const x = end(lambdas, z);
          return sum + x.reduce((all, value, j) => all + (value - (exact[i]?.[j] as number)) ** 2, 0);
        }, 0) / starts.length,
      );
    const firsts = [uniform(range), arctan(range), karras(range)].map((schedule) => grid(schedule, 6));
    const least = Math.min(...firsts.map(error));
    for (const first of firsts) {
      const refined = refineGrid(first, error);
      expect([refined[0], refined.at(-1)]).toEqual([first[0], first.at(-1)]);
      expect(error(refined)).toBeLessThan(0.95 * least);
    }
  });

  test('refuses a bad start, and an error that is none', () => {
    expect(() => refineGrid([1, 0], () => 0)).toThrow(/does not exceed/);
    expect(() => refineGrid([0, 1, 2], () => Number.NaN)).toThrow('the error of the grid [0, 1, 2] is NaN.');
    expect(() => refineGrid([0, 1], () => 0, { rounds: 0 })).toThrow(/rounds is 0/);
  });
});
