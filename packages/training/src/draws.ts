import { checkInteger, checkWithin, fold, type Key, permutation, type Schedule, uniforms } from '@logsnr/core';

/**
 * n log-SNR values λ ~ p(λ), as λ = schedule(u) with u ~ U[0, 1) (Ho & Salimans 2022, section 3.1), in nats.
 *
 * Stratified (the default): u_i = (π(i) + r_i)/n with r_i ~ U[0, 1) and π a random order, so that each of n equal slices
 * of [0, 1) gets exactly one sample. Every λ_i still follows p(λ), and the loss of a batch varies less from step to step.
 * The order is random because a batch's own order may mean something.
 * @throws RangeError when n is not a positive integer or the schedule returns a value that is not finite.
 */
export function drawLambda(
  schedule: Schedule,
  key: Key,
  n: number,
  { stratified = true }: { readonly stratified?: boolean } = {},
): Float64Array {
  checkInteger('n', n, 1);
  const within = uniforms(fold(key, 0), n);
  const slice = stratified ? permutation(fold(key, 1), n) : undefined;
  return within.map((r, i) => {
    const u = slice ? ((slice[i] as number) + r) / n : r;
    const lambda = schedule(u);
    if (!Number.isFinite(lambda))
      throw new RangeError(`schedule(${u}) is ${lambda}; a schedule to train on must be finite on [0, 1).`);
    return lambda;
  });
}

/**
 * Which of n conditions to lose: 1 with probability `pUncond`, else 0, each on its own (Algorithm 1, line 3).
 * @throws RangeError when n is not a positive integer or pUncond is outside [0, 1].
 */
export function drawDropped(key: Key, n: number, pUncond: number): Float32Array {
  checkInteger('n', n, 1);
  checkWithin('pUncond', pUncond, 0, 1);
  return Float32Array.from(uniforms(key, n), (u) => (u < pUncond ? 1 : 0));
}
