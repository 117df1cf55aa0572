/** The largest and the smallest log weight. Loops, as these run over many particles at every step. */
export function rangeOf(logWeights: Float64Array): { most: number; least: number } {
  let [most, least] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const log of logWeights) {
    if (log > most) most = log;
    if (log < least) least = log;
  }
  return { most, least };
}

/**
 * The effective size (Σ W)²/Σ W² of weighted particles (Kong, Liu & Wong 1994): all of them where the weights are equal, 1 where one
 * particle has all the weight.
 */
export function effectiveSize(logWeights: Float64Array): number {
  const { most, least } = rangeOf(logWeights);
  if (most === least) return logWeights.length;
  let [sum, squares] = [0, 0];
  for (const log of logWeights) {
    const weight = Math.exp(log - most);
    sum += weight;
    squares += weight * weight;
  }
  return (sum * sum) / squares;
}

/**
 * Systematic resampling (Carpenter, Clifford & Fearnhead 1999): which particle each of n goes on from. Particle j of share
 * W_j/Σ W goes on ⌊n share⌋ or ⌈n share⌉ times, n share on average. Equal weights leave all where they are.
 * @param u one number in [0, 1), which decides all.
 */
export function systematic(logWeights: Float64Array, u: number): Int32Array {
  const n = logWeights.length;
  const { most, least } = rangeOf(logWeights);
  if (most === least) return Int32Array.from({ length: n }, (_, i) => i);
  // Of log W − the largest, so that none overflows; a particle of −∞ has weight 0.
  const weights = logWeights.map((log) => Math.exp(log - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // Rounding may leave the last points beyond the sum; they belong to the last particle that has weight.
  let last = n - 1;
  while (weights[last] === 0) last--;
  let [j, reached] = [0, weights[0] as number];
  return Int32Array.from({ length: n }, (_, i) => {
    const point = ((i + u) / n) * total;
    while (j < last && reached <= point) reached += weights[++j] as number;
    return j;
  });
}
