import { checkChoice, checkInteger } from '@logsnr/core';
import {
  div,
  matMul,
  maximum,
  mul,
  reshape,
  stack,
  sub,
  type Tensor,
  type Tensor2D,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';
import { Matrix, solve } from 'ml-matrix';
import type { NullKind, NullRegression } from './cfg-cache.js';
import { inner, norm } from './norms.js';
import { extrapolate, type Rule } from './rule.js';

/** What {@link observeNull} saw at one λ. */
export interface NullAt {
  readonly lambda: number;
  readonly samples: number;
  /** γ, the cosine of the angle between the conditional and the unconditional prediction: its mean and its least over the samples. */
  readonly cosine: number;
  readonly least: number;
  /** ‖ε_c − ε_∅‖/‖ε_∅‖, the root of the ratio of the means of squares. */
  readonly apart: number;
  /** ‖ε̂_∅ − ε_∅‖/‖ε_c − ε_∅‖ of the regression: 0 predicts it wholly, 1 says no more than ε_c does. */
  readonly error: number;
}

export interface NullObserver {
  /** Guides as `extrapolate` does, and looks on. It reads tensors, so it works operation by operation only. */
  readonly rule: Rule;
  /** What was seen, by increasing λ. */
  points(): NullAt[];
  /**
   * The linear combinations that predict the unconditional prediction best over all samples seen, for {@link cfgCache}.
   * @throws RangeError before anything was seen.
   */
  regression(): NullRegression;
}

interface Seen {
  gram: Float64Array;
  samples: number;
  cosines: number;
  least: number;
}

/**
 * Looks on while samples are drawn with `classifierFree(model, conditioning, w, { rule: observer.rule })`, by any sampler, and
 * measures at each λ how far the prediction for ∅ is from the conditional one and how well the past predicts it: what a choice
 * of {@link cfgCache} or of an `interval` can rest on. A batch of some dozens is enough.
 *
 * γ near 1 is where Adaptive Guidance drops ∅ (Castillo et al. 2023, arXiv 2312.12487, section 5.1). The regression is their
 * LinearAG (section 5.2): ordinary least squares over all samples and values, one scalar for each prediction at hand, here the
 * conditional one and both of the last `past` calls, with a ridge of 1e-6 for the calls that have less behind them.
 * @param options `past`: m, 1 unless given; `of`: in which prediction, `eps` unless given.
 */
export function observeNull({ past = 1, of = 'eps' }: { past?: number; of?: NullKind } = {}): NullObserver {
  checkInteger('past', past, 0);
  checkChoice('of', of, ['eps', 'x', 'v']);
  const seen = new Map<number, Seen>();
  const size = 2 * past + 2;
  const at = (lambda: number): Seen => {
    const known = seen.get(lambda) ?? { gram: new Float64Array(size * size), samples: 0, cosines: 0, least: 1 };
    seen.set(lambda, known);
    return known;
  };
  const rule: Rule = {
    acts: of,
    start: (n, shape) => Array.from({ length: 2 * past }, () => zeros([n, ...shape])),
    combine(predictions, memory) {
      const { conditional, unconditional, lambda } = predictions;
      const before = memory as Tensor[];
      const [old, oldNull] = [before.slice(0, past), before.slice(past)];
      const numbers = new Set(lambda.dataSync());
      if (numbers.size !== 1)
        throw new RangeError(
          `the batch is at ${numbers.size} λ at once; observeNull wants samples that walk together.`,
        );
      const here = at([...numbers][0] as number);
      // As differences, which the near-equality of all these predictions leaves their digits.
      const vectors = [
        sub(unconditional, conditional),
        conditional,
        ...old.map((value) => sub(value, conditional)),
        ...oldNull.map((value, i) => sub(value, old[i] as Tensor)),
      ];
      tidy(() => {
        const rows = reshape(stack(vectors), [size, -1]) as Tensor2D;
        matMul(rows, rows, false, true)
          .dataSync()
          .forEach((value, i) => {
            (here.gram[i] as number) += value;
          });
        const lengths = maximum(mul(norm(conditional), norm(unconditional)), 1e-30);
        const cosines = div(inner(conditional, unconditional), lengths).dataSync();
        for (const cosine of cosines) {
          here.cosines += cosine;
          here.least = Math.min(here.least, cosine);
        }
        here.samples += cosines.length;
      });
      const value = extrapolate.combine(predictions, null) as Tensor;
      if (past === 0) return { value, memory };
      return { value, memory: [conditional, ...old.slice(0, -1), unconditional, ...oldNull.slice(0, -1)] };
    },
  };
  const sorted = () => [...seen.entries()].sort(([a], [b]) => a - b);
  return {
    rule,
    points: () =>
      sorted().map(([lambda, { gram, samples, cosines, least }]) => {
        const [gap, own, both] = [gram[0] as number, gram[size + 1] as number, gram[1] as number];
        // ‖ε_∅‖² = ‖d + ε_c‖².
        const none = gap + own + 2 * both;
        const error = Math.sqrt(Math.max(0, unexplained(gram, size)) / gap);
        return { lambda, samples, cosine: cosines / samples, least, apart: Math.sqrt(gap / none), error };
      }),
    regression() {
      if (seen.size === 0) throw new RangeError('nothing was seen yet; draw samples with the rule first.');
      const rows = sorted();
      return {
        lambdas: rows.map(([lambda]) => lambda),
        coefficients: rows.map(([, { gram }]) => direct(fit(gram, size), past)),
        of,
      };
    },
  };
}

/** The coefficients that make the first vector of the others, by the Gram matrix of all, with a ridge. */
function fit(gram: Float64Array, size: number): number[] {
  const entry = (i: number, j: number) => gram[i * size + j] as number;
  const of = Array.from({ length: size - 1 }, (_, i) => i + 1);
  const ridge = 1e-6 * Math.max(...of.map((i) => entry(i, i)), Number.MIN_VALUE);
  const a = new Matrix(of.map((i) => of.map((j) => entry(i, j) + (i === j ? 1e-6 * entry(i, i) + 1e-6 * ridge : 0))));
  return solve(a, Matrix.columnVector(of.map((i) => entry(i, 0)))).to1DArray();
}

/** ‖first − its fit‖², whatever the ridge did to the fit. */
function unexplained(gram: Float64Array, size: number): number {
  const c = [-1, ...fit(gram, size)];
  return c.reduce((sum, a, i) => sum + c.reduce((row, b, j) => row + a * b * (gram[i * size + j] as number), 0), 0);
}

/**
 * The same combination in the predictions themselves: with u − c = a₀ c + Σ a_j (c_j − c) + Σ b_j (u_j − c_j) it is
 * u = (1 + a₀ − Σ a_j) c + Σ (a_j − b_j) c_j + Σ b_j u_j.
 */
function direct(fitted: readonly number[], past: number): number[] {
  const [first = 0, ...rest] = fitted;
  const [a, b] = [rest.slice(0, past), rest.slice(past)];
  return [1 + first - a.reduce((sum, value) => sum + value, 0), ...a.map((value, j) => value - (b[j] as number)), ...b];
}
