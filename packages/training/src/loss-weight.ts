import { checkAbove, checkFinite, checkNotNegative, sigmoid } from '@logsnr/core';

/**
 * The weight of the loss at a log-SNR λ, on one convention: it multiplies ‖ε̂ − ε‖² of a sample whose λ ~ p(λ),
 * whatever the network predicts. As ε̂ − ε = −(α/σ)(x̂ − x) = α (v̂ − v), errors of other kinds are the same up to a
 * power of the SNR e^λ: ‖x̂ − x‖² = e^{−λ} ‖ε̂ − ε‖² and ‖v̂ − v‖² = (1 + e^{−λ}) ‖ε̂ − ε‖² (Salimans & Ho 2022, arXiv
 * 2202.00512, section 4).
 */
export type LossWeight = (lambda: number) => number;

/** A weight stated on ‖x̂ − x‖². */
export const onX =
  (weight: LossWeight): LossWeight =>
  (lambda) =>
    weight(lambda) * Math.exp(-lambda);

/** A weight stated on ‖v̂ − v‖². */
export const onV =
  (weight: LossWeight): LossWeight =>
  (lambda) =>
    weight(lambda) * (1 + Math.exp(-lambda));

/**
 * 1: the simple loss (Ho et al. 2020, arXiv 2006.11239, eq. 14), and the one of classifier-free guidance's Algorithm 1.
 */
export const uniform: LossWeight = () => 1;

/**
 * SNR^k on ‖x̂ − x‖², so e^{(k−1)λ}. k = 1 is `uniform`, the SNR weighting of Salimans & Ho 2022 (arXiv 2202.00512,
 * section 4); k = 0 is the plain loss on x.
 */
export function snr(k = 1): LossWeight {
  checkFinite('k', k);
  return (lambda) => Math.exp((k - 1) * lambda);
}

/** max(SNR, 1) on ‖x̂ − x‖², so max(1, e^{−λ}): truncated SNR (Salimans & Ho 2022, arXiv 2202.00512, section 4). */
export const truncatedSnr: LossWeight = (lambda) => Math.max(1, Math.exp(-lambda));

/** min(SNR, γ) on ‖x̂ − x‖², so min(1, γ e^{−λ}): min-SNR-γ (Hang et al. 2023, arXiv 2303.09556; γ = 5 there). */
export function minSnr(gamma = 5): LossWeight {
  checkAbove('gamma', gamma);
  return (lambda) => Math.min(1, gamma * Math.exp(-lambda));
}

/**
 * (σ² + σ_data²)/(σ σ_data)² on ‖x̂ − x‖² with σ² = e^{−λ}, so (e^{−λ} + σ_data²)/σ_data² (Karras et al. 2022, arXiv
 * 2206.00364, table 1). There λ = −2 ln σ with ln σ ~ N(−1.2, 1.2²), so p(λ) = N(2.4, 2.4²).
 */
export function edm({ sigmaData = 0.5 }: { readonly sigmaData?: number } = {}): LossWeight {
  checkAbove('sigmaData', sigmaData);
  return (lambda) => Math.exp(-lambda) / sigmaData ** 2 + 1;
}

/** (k + SNR)^{−γ}: P2 (Choi et al. 2022, arXiv 2204.00227, eq. 8; k = 1 and γ = 0.5 or 1 there). */
export function p2({ k = 1, gamma = 1 }: { readonly k?: number; readonly gamma?: number } = {}): LossWeight {
  checkAbove('k', k);
  checkNotNegative('gamma', gamma);
  return (lambda) => (k + Math.exp(lambda)) ** -gamma;
}

/**
 * A weight w(λ) of the integral ½∫ w(λ) ‖ε̂ − ε‖² dλ (Kingma & Gao 2023, arXiv 2303.00848), made one of draws from the
 * density p(λ): w(λ)/p(λ). With w a density itself this is importance weighting: the loss is that of λ ~ w, whatever p
 * is.
 * @throws RangeError, where the weight is used, at a λ that p cannot draw.
 */
export const perLambda =
  (weight: LossWeight, density: (lambda: number) => number): LossWeight =>
  (lambda) => {
    const p = density(lambda);
    if (!(p > 0)) throw new RangeError(`the density of λ = ${lambda} is ${p}; it must be above 0 where λ is drawn.`);
    return weight(lambda) / p;
  };

/**
 * sigmoid(b − λ) of the integral over λ: take it with `perLambda` (Kingma & Gao 2023, arXiv 2303.00848;
 * Hoogeboom et al. 2024, arXiv 2410.19324).
 */
export function sigmoidWeight(bias = 0): LossWeight {
  checkFinite('bias', bias);
  return (lambda) => sigmoid(bias - lambda);
}
