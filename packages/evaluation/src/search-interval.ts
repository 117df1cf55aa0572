import { checkFinite, checkIncreasing, checkInteger } from '@logsnr/core';

export interface IntervalSearchOptions {
  /** Where an interval may begin and end, in increasing order, in nats. */
  readonly edges: readonly number[];
  /** How bad guidance between two edges is: an FID of some samples, for example. The less the better. */
  readonly score: (low: number, high: number) => number | Promise<number>;
}

export interface ScoredInterval {
  readonly low: number;
  readonly high: number;
  readonly score: number;
}

/**
 * The interval of log-SNR in which guidance scores best, by search: Kynkäänniemi et al. 2024 (arXiv 2404.07724) choose theirs so, by FID.
 * From the whole range it tries every lower edge, then every upper edge, in turns, until neither gives a better score: some two or three times
 * as many scores as there are edges, where all pairs would be half their square. It ends where no single edge can be moved for the
 * better, which need not be the best pair of all. Score with the same seeds throughout, or the search follows the noise.
 * @returns the best, and all that was tried, in that order.
 * @throws RangeError unless there are three edges or more in increasing order; and when a score is not finite.
 */
export async function searchInterval({
  edges,
  score,
}: IntervalSearchOptions): Promise<{ best: ScoredInterval; tried: readonly ScoredInterval[] }> {
  checkInteger('the number of edges', edges.length, 3);
  checkIncreasing(edges);
  const tried: ScoredInterval[] = [];
  const at = async (low: number, high: number): Promise<ScoredInterval> => {
    const known = tried.find((one) => one.low === low && one.high === high);
    if (known) return known;
    const value = await score(low, high);
    checkFinite(`the score between ${low} and ${high}`, value);
    tried.push({ low, high, score: value });
    return tried.at(-1) as ScoredInterval;
  };
  let best = await at(edges[0] as number, edges.at(-1) as number);
  for (let moved = true; moved; ) {
    const before = best;
    for (const low of edges.filter((edge) => edge < best.high)) {
      const one = await at(low, before.high);
      if (one.score < best.score) best = one;
    }
    const { low } = best;
    for (const high of edges.filter((edge) => edge > low)) {
      const one = await at(low, high);
      if (one.score < best.score) best = one;
    }
    moved = best !== before;
  }
  return { best, tried };
}
