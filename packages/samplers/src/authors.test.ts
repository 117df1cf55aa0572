import { readFileSync } from 'node:fs';
import { alpha, gaussianMixture } from '@logsnr/core';
import { describe, expect, test } from 'vitest';
import { churn, heun, type RestartInterval, restart, unipc } from './index.js';
import { largest, type Numbers, run64 } from './testing/runs.js';

// Made by the authors' own code: parity/authors.py, which names the repositories, files and commits.
const golden = JSON.parse(readFileSync(new URL('../test/fixtures/authors.json', import.meta.url), 'utf8'));
const mixture = gaussianMixture(golden.mixture);

interface Run {
  starts: number[][];
  ends: number[][];
}

interface SigmaRun extends Run {
  /** Noise levels s = σ/α; the authors walk y = z/α. */
  sigmas: number[];
  /** Each draw that is used, of all starts. */
  noise: number[][][];
  /** The levels at which their network was asked, in turn. */
  seen: number[];
}

const lambdaOf = (s: number) => -2 * Math.log(s);

/** Runs our sampler from each of their starts, with their noise, to x̂: within 1e-11 of their ends, asked where theirs was. */
function expectTheirs(sampler: Numbers, { sigmas, starts, ends, noise, seen }: SigmaRun, perStep: boolean) {
  const lambdas = sigmas.map(lambdaOf);
  for (const [i, start] of starts.entries()) {
    const asked: number[] = [];
    const eps = (z: Float64Array, lambda: number) => {
      asked.push(Math.exp(-lambda / 2));
      return mixture.eps(z, lambda);
    };
    let drawn = 0;
    const draw = (step: number) => Float64Array.from(noise[perStep ? step - 1 : drawn++]?.[i] ?? []);
    const z = Float64Array.from(start, (y) => y * alpha(lambdas[0] as number));
    const end = run64({ sampler, eps, lambdas, z, noise: draw });
    expect(largest(end, ends[i] as number[])).toBeLessThan(1e-11);
    expect(asked).toHaveLength(seen.length);
    seen.forEach((s, k) => {
      expect((asked[k] as number) / s).toBeCloseTo(1, 10);
    });
    expect(drawn).toBe(perStep ? 0 : noise.length);
  }
}

describe('UniPC of its authors, to 1e-11', () => {
  test.each<Run & { options: object; lambdas: number[] }>(golden.unipc.runs)('$options', (run) => {
    const sampler = unipc(run.options) as unknown as Numbers;
    const [lambdas, to] = [run.lambdas.slice(0, -1), run.lambdas.at(-1) as number];
    for (const [i, start] of run.starts.entries()) {
      const end = run64({ sampler, eps: mixture.eps, lambdas, end: to, z: Float64Array.from(start) });
      expect(largest(end, run.ends[i] as number[])).toBeLessThan(1e-11);
    }
  });
});

describe('Restart of its authors, to 1e-11', () => {
  test.each<SigmaRun & { intervals: RestartInterval[] }>(golden.restart.runs)('$intervals', (run) => {
    const intervals = run.intervals.map((each) => ({ ...each, from: lambdaOf(each.from), to: lambdaOf(each.to) }));
    expectTheirs(restart(heun(), intervals) as unknown as Numbers, run, false);
  });
});

describe('EDM’s stochastic sampler of its authors, to 1e-11', () => {
  test.each<SigmaRun & { options: object }>(golden.edm.runs)('$options', (run) => {
    expectTheirs(churn(heun(), run.options) as unknown as Numbers, run, true);
  });
});
