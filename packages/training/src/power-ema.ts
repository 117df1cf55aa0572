import { flatten, unflatten } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { Matrix, solve } from 'ml-matrix';
import type { Ema } from './ema.js';

/**
 * The exponent γ of the power-function average of relative length σ_rel, its standard deviation as a fraction of the
 * run: σ_rel² = (γ + 1)/((γ + 2)²(γ + 3)) (Karras et al. 2024, arXiv 2312.02696, section 3 and appendix C). σ_rel is
 * below 1/√12 ≈ 0.289, where γ = 0 is the plain mean.
 * @throws RangeError when σ_rel is not in (0, 1/√12].
 */
export function powerGamma(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel <= 12 ** -0.5 + 1e-12))
    throw new RangeError(`sigmaRel is ${sigmaRel}; it must be above 0 and at most 1/√12 ≈ 0.2887.`);
  const lengthOf = (gamma: number) => Math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2);
  // It falls with γ, and is below 1/γ.
  let [low, high] = [0, 1 / sigmaRel];
  for (let i = 0; i < 200 && high - low > Number.EPSILON * high; i++) {
    const middle = (low + high) / 2;
    if (lengthOf(middle) > sigmaRel) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The power-function average of EDM2 (Karras et al. 2024, arXiv 2312.02696, section 3.1): with t = step + 1, average ←
 * β average + (1 − β) θ, β = (1 − 1/t)^{γ+1}, so that θ(τ) weighs as τ^γ up to t. Its length is always the same
 * fraction σ_rel of the run so far, and it forgets the weights that the run began with.
 */
export function powerEma(sigmaRel: number): Ema {
  const gamma = powerGamma(sigmaRel);
  return { blend: (step) => -Math.expm1((gamma + 1) * Math.log1p(-1 / (step + 1))) };
}

/** A power-function average as it was at some step. */
export interface EmaSnapshot {
  /** Steps taken then. */
  readonly step: number;
  readonly sigmaRel: number;
  readonly average: Parameters;
}

/**
 * What the power-function average of length `sigmaRel` at `step` would be, from snapshots of others: the combination of
 * them whose profile, as a function of training time, is nearest in the least-squares sense (Karras et al. 2024, arXiv
 * 2312.02696, section 3.2 and appendix C). Snapshots of two lengths (0.05 and 0.10 there), taken some dozens of times
 * in a run, give any length between about 0.03 and 0.25.
 * @returns tensors that the caller owns.
 * @throws RangeError where there are no snapshots, or their parameters differ in name or shape.
 */
export function reconstructEma(
  snapshots: readonly EmaSnapshot[],
  target: Pick<EmaSnapshot, 'step' | 'sigmaRel'>,
): Parameters {
  const used = snapshots.filter(({ step }) => step <= target.step);
  const [first] = used;
  if (!first)
    throw new RangeError(
      `there is no snapshot up to step ${target.step}; an average is reconstructed from earlier ones.`,
    );
  const shares = sharesOf(used, target);
  const flat = used.map(({ average }) => flatten<Tensor>(average));
  const sums = tidy(() =>
    Object.fromEntries(
      Object.entries(flat[0] as Record<string, Tensor>).map(([name, { shape, size }]): [string, Tensor] => {
        const sum = new Float64Array(size);
        used.forEach(({ step }, i) => {
          const values = flat[i]?.[name]?.dataSync();
          if (values?.length !== size)
            throw new RangeError(`the snapshot of step ${step} has no "${name}" of [${shape}].`);
          for (let j = 0; j < size; j++) sum[j] = (sum[j] as number) + (shares[i] as number) * (values[j] as number);
        });
        return [name, tensor(Float32Array.from(sum), shape, 'float32')];
      }),
    ),
  );
  return unflatten<Tensor>(sums) as Parameters;
}

type Profile = Pick<EmaSnapshot, 'step' | 'sigmaRel'>;

/**
 * How much of each snapshot: the solution x of A x = b with A and b the profiles' inner products, divided by its sum (as in
 * EDM2's code), so that weights that never change come back as they are.
 */
function sharesOf(snapshots: readonly Profile[], target: Profile): number[] {
  const profiles = snapshots.map((profile) => ({ t: profile.step, gamma: powerGamma(profile.sigmaRel) }));
  const wanted = { t: target.step, gamma: powerGamma(target.sigmaRel) };
  const a = new Matrix(profiles.map((one) => profiles.map((other) => inner(one, other))));
  const b = Matrix.columnVector(profiles.map((one) => inner(one, wanted)));
  const shares = solve(a, b, true).to1DArray();
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

/**
 * ∫ p_a p_b dτ of the profiles p(τ) = (γ + 1) τ^γ/t^{γ+1} on [0, t] (appendix C there):
 * (γ_a + 1)(γ_b + 1)/((γ_a + γ_b + 1) max(t_a, t_b)) · (min/max)^{γ of the later one}.
 */
function inner(a: { t: number; gamma: number }, b: { t: number; gamma: number }): number {
  const [early, late] = a.t <= b.t ? [a, b] : [b, a];
  const scale = ((a.gamma + 1) * (b.gamma + 1)) / ((a.gamma + b.gamma + 1) * late.t);
  return scale * (early.t / late.t) ** late.gamma;
}
