import { checkIncreasing, checkInteger } from '@logsnr/core';

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * A grid of few points on which a walk errs less: every point between the first and the last moves to the best place
 * between its neighbours, by golden section, one after the other and for several rounds. The error never grows.
 *
 * @param lambdas where to start from, such as `grid(arctan(), 8)`.
 * @param error what a grid costs: say, how far a walk along it ends from the exact end on a closed-form model.
 * @param rounds how often each point moves (10).
 * @throws RangeError on a grid that does not increase strictly, or an error that is NaN.
 */
export function refineGrid(
  lambdas: readonly number[],
  error: (lambdas: readonly number[]) => number,
  { rounds = 10 }: { rounds?: number } = {},
): number[] {
  checkIncreasing(lambdas);
  checkInteger('rounds', rounds, 1);
  let best = { lambdas: [...lambdas], cost: costOf(error, lambdas) };
  for (let round = 0; round < rounds; round++)
    for (let i = 1; i < lambdas.length - 1; i++) {
      const at = (lambda: number) => {
        const moved = best.lambdas.with(i, lambda);
        return { lambdas: moved, cost: costOf(error, moved) };
      };
      const found = goldenSection(at, best.lambdas[i - 1] as number, best.lambdas[i + 1] as number);
      if (found.cost < best.cost) best = found;
    }
  return best.lambdas;
}

function costOf(error: (lambdas: readonly number[]) => number, lambdas: readonly number[]): number {
  const cost = error(lambdas);
  if (Number.isNaN(cost)) throw new RangeError(`the error of the grid [${lambdas.join(', ')}] is NaN.`);
  return cost;
}

/** The cheapest of the points that a golden-section search of (low, high) meets, to 1/1000 of the interval. */
function goldenSection<T extends { cost: number }>(at: (x: number) => T, low: number, high: number): T {
  const tolerance = (high - low) / 1000;
  let [a, b] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [left, right] = [at(a), at(b)];
  while (high - low > tolerance)
    if (left.cost < right.cost) {
      [high, b, right] = [b, a, left];
      a = high - GOLDEN * (high - low);
      left = at(a);
    } else {
      [low, a, left] = [a, b, right];
      b = low + GOLDEN * (high - low);
      right = at(b);
    }
  return left.cost < right.cost ? left : right;
}
