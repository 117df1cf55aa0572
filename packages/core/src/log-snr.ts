import { exp, mul, softplus, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkFinite, checkWithin } from './check.js';

/*
 * λ = ln(α²/σ²), in nats.   z_λ = α_λ x + σ_λ ε,   α_λ² = sigmoid(λ),   σ_λ² = sigmoid(−λ).
 * Functions of numbers are float64. They keep their relative accuracy wherever exp(|λ|) is finite. So σ² is sigmoid(−λ),
 * not 1 − sigmoid(λ), and 1 − e^{−h} is −expm1(−h).
 */

/** sigmoid(a) = 1/(1 + e^{−a}). */
export const sigmoid = (a: number): number => 1 / (1 + Math.exp(-a));

/** α_λ = √sigmoid(λ), the scale of the signal (Ho & Salimans 2022, section 2). It is 1 at λ = +∞, clean data. */
export const alpha = (lambda: number): number => Math.sqrt(sigmoid(lambda));

/** σ_λ = √sigmoid(−λ), the standard deviation of the noise (Ho & Salimans 2022, section 2). It is 0 at λ = +∞. */
export const sigma = (lambda: number): number => Math.sqrt(sigmoid(-lambda));

/** softplus(a) = ln(1 + e^a), without overflow. */
const softplusNumber = (a: number): number => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

/** α_to/α_from. It is taken as exp(ln α_to − ln α_from), so that it is right where α itself would underflow to 0. */
export const alphaRatio = (from: number, to: number): number =>
  Math.exp((softplusNumber(-from) - softplusNumber(-to)) / 2);

/** α = exp(−softplus(−λ)/2) and σ = exp(−softplus(λ)/2) of a batch of λ. Float32, each of shape [n]; the caller owns both. */
export function alphaSigma(lambda: Tensor1D): { alpha: Tensor1D; sigma: Tensor1D } {
  return tidy(() => ({
    alpha: exp(mul(softplus(mul(lambda, -1)), -0.5)) as Tensor1D,
    sigma: exp(mul(softplus(lambda), -0.5)) as Tensor1D,
  }));
}

/**
 * The forward process, which goes towards noise: q(z_to | z_from) = N(`scale` · z_from, `variance` · I), `to` < `from`.
 *
 * scale = α_to/α_from and variance = σ²_{to|from} = (1 − e^{to−from}) σ_to² (Ho & Salimans 2022, eq. 2).
 * With `from` = +∞, which is clean data, this is q(z_to | x).
 * @throws RangeError when `to` is not finite or is not below `from`.
 */
export function transition(from: number, to: number): { scale: number; variance: number } {
  checkFinite('to', to);
  if (!(to < from))
    throw new RangeError(`transition from λ = ${from} to λ = ${to}: to must be the noisier, smaller λ.`);
  return { scale: alphaRatio(from, to), variance: -Math.expm1(to - from) * sigmoid(-to) };
}

/**
 * The reverse process where the data x is known: q(z_to | z_from, x) = N(`z` · z_from + `x` · x, `variance` · I), `to` > `from`.
 *
 * Write λ for `from` and λ' for `to`. Then (Ho & Salimans 2022, eq. 3 and 4):
 * z = e^{λ−λ'} α_λ'/α_λ,  x = (1 − e^{λ−λ'}) α_λ',  variance = (σ̃²_{λ'|λ})^{1−v} (σ²_{λ|λ'})^v,
 * σ̃²_{λ'|λ} = (1 − e^{λ−λ'}) σ_λ'²,  σ²_{λ|λ'} = (1 − e^{λ−λ'}) σ_λ².
 * v = 0 is the exact posterior. At `to` = +∞, which is clean data, `z` is 0 and `x` is 1.
 * @param v in [0, 1]: the logarithm of the variance lies at v between those of σ̃² (0) and σ² (1). The paper uses 0.3 and 0.2.
 * @throws RangeError when `from` is not finite, `to` is not above it, or v is outside [0, 1].
 */
export function posterior(from: number, to: number, v = 0): { z: number; x: number; variance: number } {
  checkFinite('from', from);
  checkWithin('v', v, 0, 1);
  if (!(to > from)) throw new RangeError(`posterior from λ = ${from} to λ = ${to}: to must be the cleaner, larger λ.`);
  const gain = -Math.expm1(from - to);
  return {
    z: Math.exp(from - to) * alphaRatio(from, to),
    x: gain * alpha(to),
    variance: gain * sigmoid(-to) ** (1 - v) * sigmoid(-from) ** v,
  };
}
