import {
  checkChoice,
  checkInteger,
  checkWithin,
  fold,
  type Key,
  permutation,
  type Schedule,
  uniforms,
} from '@logsnr/core';

/** How the λ of a batch lie to each other; each one alone follows p(λ) in any case. */
export type Spread = 'stratified' | 'antithetic' | 'independent';

/**
 * n log-SNR values λ ~ p(λ), as λ = schedule(u) with u ~ U[0, 1) (Ho & Salimans 2022, section 3.1), in nats. The loss
 * of a batch varies less from step to step where its λ are spread:
 *
 * - `stratified` (the default): u_i = (π(i) + r_i)/n with r_i ~ U[0, 1) and π a random order, so that each of n equal
 *   slices of [0, 1) gets exactly one sample.
 * - `antithetic`: pairs u and 1 − u, in a random order; with an odd n one is alone.
 * - `independent`: neither.
 *
 * The order is random because a batch's own order may mean something.
 * @throws RangeError when n is not a positive integer or the schedule returns a value that is not finite.
 */
export function drawLambda(
  schedule: Schedule,
  key: Key,
  n: number,
  { spread = 'stratified' }: { readonly spread?: Spread } = {},
): Float64Array {
  checkInteger('n', n, 1);
  checkChoice('spread', spread, ['stratified', 'antithetic', 'independent']);
  return drawSpread(key, n, spread).map((u) => {
    const lambda = schedule(u);
    if (!Number.isFinite(lambda))
      throw new RangeError(`schedule(${u}) is ${lambda}; a schedule to train on must be finite on [0, 1).`);
    return lambda;
  });
}

/** n numbers, each uniform in [0, 1). */
function drawSpread(key: Key, n: number, spread: Spread): Float64Array {
  const within = uniforms(fold(key, 0), n);
  if (spread === 'independent') return within;
  const order = permutation(fold(key, 1), n);
  if (spread === 'stratified') return within.map((r, i) => ((order[i] as number) + r) / n);
  // Multiples of 2^−32 in [0, 1), mirrored onto themselves.
  return within.map((_, i) => {
    const place = order[i] as number;
    const u = within[place >> 1] as number;
    return place % 2 === 0 ? u : 1 - 2 ** -32 - u;
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
