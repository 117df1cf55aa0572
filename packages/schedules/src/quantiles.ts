/*
 * Quantiles of two distributions, to nearly all digits of a float64, tails included. (The packages that offer them bring
 * either hundreds of dependencies or eight digits.)
 */

/** The x in [low, high] at which an increasing f reaches `target`, by halving until neighbouring numbers are left. */
export function bisect(f: (x: number) => number, target: number, low: number, high: number): number {
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (f(middle) < target) low = middle;
    else high = middle;
  }
}

/** ∫_0^x s^{a−1} (1 − s)^{b−1} ds for x ≤ ½, by a series of positive terms: x^a (1−x)^b/a · Σ_k (a+b)_k/(a+1)_k · x^k. */
function incompleteBeta(x: number, a: number, b: number): number {
  let [term, sum] = [1 / a, 0];
  for (let k = 0; term > 1e-17 * sum; k++) {
    sum += term;
    term *= (x * (a + b + k)) / (a + 1 + k);
  }
  return x ** a * (1 - x) ** b * sum;
}

/** F⁻¹(u) of the distribution Beta(a, b), a and b above 0. */
export function betaQuantile(u: number, a: number, b: number): number {
  const [below, above] = [incompleteBeta(0.5, a, b), incompleteBeta(0.5, b, a)];
  const target = u * (below + above);
  // The upper half from its own end, where 1 − x is small.
  if (target > below) return 1 - bisect((x) => incompleteBeta(x, b, a), (1 - u) * (below + above), 0, 0.5);
  return bisect((x) => incompleteBeta(x, a, b), target, 0, 0.5);
}

/** Φ(x), the standard normal distribution (Abramowitz & Stegun 26.2.11; its continued fraction 26.2.14 in the tails). */
export function normalCdf(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) > 3) {
    let fraction = Math.abs(x);
    for (let k = 100; k > 0; k--) fraction = Math.abs(x) + k / fraction;
    return x < 0 ? density / fraction : 1 - density / fraction;
  }
  let [term, sum] = [x, 0];
  for (let k = 1; Math.abs(term) > 1e-18; k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return 0.5 + density * sum;
}

/** Φ⁻¹(p) for p in (0, 1). */
export const normalQuantile = (p: number): number => (p > 0.5 ? -normalQuantile(1 - p) : bisect(normalCdf, p, -40, 0));
