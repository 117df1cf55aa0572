import { exp, mul, softplus, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { checkFinite, checkWithin } from './check.js';

/*
 * λ = ln(α²/σ²), in nats.   z_λ = α_λ x + σ_λ ε,   α_λ² = sigmoid(λ),   σ_λ² = sigmoid(−λ).
 * Everything here is float64 and keeps its relative accuracy at any |λ| where exp(|λ|) is finite: sigmoid(−λ) is
 * never 1 − sigmoid(λ), and 1 − e^{−h} is −expm1(−h).
 */

/** 1/(1+e^{−a}). */
export const sigmoid = (a: number): number => 1 / (1 + Math.exp(-a));

/** α_λ = √sigmoid(λ), the signal's scale (Ho & Salimans 2022, section 2). λ = +∞ is clean data: 1. */
export const alpha = (lambda: number): number => Math.sqrt(sigmoid(lambda));

/** σ_λ = √sigmoid(−λ), the noise's standard deviation (Ho & Salimans 2022, section 2). */
export const sigma = (lambda: number): number => Math.sqrt(sigmoid(-lambda));

/** ln(e^a + 1), without overflow. */
const softplusNumber = (a: number): number => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

/** α_to/α_from, as the exponential of a difference: neither factor may underflow first. */
export const alphaRatio = (from: number, to: number): number =>
  Math.exp((softplusNumber(-from) - softplusNumber(-to)) / 2);

/** α and σ of a batch of λ, float32, both of shape [n]: exp(−softplus(∓λ)/2). */
export function alphaSigma(lambda: Tensor1D): { alpha: Tensor1D; sigma: Tensor1D } {
  return tidy(() => ({
    alpha: exp(mul(softplus(mul(lambda, -1)), -0.5)) as Tensor1D,
    sigma: exp(mul(softplus(lambda), -0.5)) as Tensor1D,
  }));
}

/**
 * The forward process q(z_to | z_from) = N(`scale` · z_from, `variance` · I), towards noise: `to` < `from`.
 *
 * scale = α_to/α_from and variance = σ²_{to|from} = (1 − e^{to−from}) σ_to² (Ho & Salimans 2022, eq. 2).
 * `from` = +∞ is clean data, for which this is q(z_to | x).
 * @throws RangeError when `to` is not finite or is not below `from`.
 */
export function transition(from: number, to: number): { scale: number; variance: number } {
  checkFinite('to', to);
  if (!(to < from))
    throw new RangeError(`transition from λ = ${from} to λ = ${to}: to must be the noisier, smaller λ.`);
  return { scale: alphaRatio(from, to), variance: -Math.expm1(to - from) * sigmoid(-to) };
}

/**
 * The reverse process given the data: q(z_to | z_from, x) = N(`z` · z_from + `x` · x, `variance` · I), with `to` > `from`.
 *
 * With λ = from and λ' = to (Ho & Salimans 2022, eq. 3 and 4):
 * z = e^{λ−λ'} α_λ'/α_λ,  x = (1 − e^{λ−λ'}) α_λ',  variance = (σ̃²_{λ'|λ})^{1−v} (σ²_{λ|λ'})^v,
 * σ̃²_{λ'|λ} = (1 − e^{λ−λ'}) σ_λ'²,  σ²_{λ|λ'} = (1 − e^{λ−λ'}) σ_λ².
 * v = 0 is the exact posterior; `to` = +∞ is clean data, whose coefficients are 0 and 1.
 * @param v exponent in [0, 1] that interpolates the variance in the log domain; the paper uses 0.3 and 0.2.
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
