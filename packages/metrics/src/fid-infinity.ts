import { checkInteger, type Key, key as keyOf, type LinearAlgebra, type Matrix, permutation } from '@logsnr/core';
import { frechetFrom } from './frechet.js';
import { checkMatrix, pick } from './matrix.js';
import { plain } from './plain.js';
import { type GaussianStatistics, gaussianStatistics, type Moments, mergeMoments, moments } from './statistics.js';

export interface FrechetInfinityOptions {
  /** Numbers of samples at which the distance is taken; 15 unless given, as the paper does. */
  readonly points?: number | undefined;
  /** The least of them; a tenth of the samples unless given (the paper's 5,000 of 50,000). */
  readonly least?: number | undefined;
  /** The order in which samples are added. */
  readonly key?: Key | undefined;
  readonly algebra?: LinearAlgebra | undefined;
  /** Told after every point. */
  readonly onPoint?: ((point: FrechetPoint) => void) | undefined;
}

export interface FrechetPoint {
  readonly n: number;
  readonly distance: number;
}

export interface FrechetInfinity {
  /** The distance that infinitely many samples would have: where the line meets 1/n = 0. */
  readonly distance: number;
  /** How fast it falls to that: distance(n) ≈ distance + slope/n. */
  readonly slope: number;
  /** The share of the points' variance that the line explains, R². */
  readonly fit: number;
  readonly points: readonly FrechetPoint[];
}

/**
 * FID∞ (Chong & Forsyth 2020, arXiv 1911.07023): the distance of n samples exceeds that of infinitely many by about c/n, and
 * c differs from model to model. So the distance is taken at several n and a line in 1/n, by least squares, gives n → ∞.
 *
 * The n samples are the first n in one random order, where the paper draws anew for each n. That changes no
 * expectation, and every sample is multiplied into the covariance once. The line holds where n is well above the number of
 * dimensions.
 * @param reference the statistics of the data, whose own bias stays.
 */
export function frechetInfinity(
  features: Matrix,
  reference: GaussianStatistics,
  { points = 15, least, key = keyOf(0), algebra = plain, onPoint }: FrechetInfinityOptions = {},
): FrechetInfinity {
  checkMatrix('features', features);
  const { rows } = features;
  const from = least ?? Math.max(2, Math.floor(rows / 10));
  checkInteger('points', points, 2);
  checkInteger('the least number of samples', from, 2, rows - points + 1);
  const order = permutation(key, rows);
  const distanceFrom = frechetFrom(reference, algebra, ['the reference', 'the samples']);
  let sum: Moments | undefined;
  const found = Array.from({ length: points }, (_, i) => {
    const n = Math.floor(from + ((rows - from) * i) / (points - 1));
    const more = moments(pick(features, order.subarray(sum?.count ?? 0, n)), algebra);
    sum = sum ? mergeMoments(sum, more) : more;
    const point = { n, distance: distanceFrom(gaussianStatistics(sum)) };
    onPoint?.(point);
    return point;
  });
  return { ...lineOf(found), points: found };
}

function lineOf(points: readonly FrechetPoint[]): { distance: number; slope: number; fit: number } {
  const mean = (of: (point: FrechetPoint) => number) => points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const [x, y] = [mean((p) => 1 / p.n), mean((p) => p.distance)];
  const [xx, yy] = [mean((p) => (1 / p.n - x) ** 2), mean((p) => (p.distance - y) ** 2)];
  const xy = mean((p) => (1 / p.n - x) * (p.distance - y));
  return { distance: y - (xy / xx) * x, slope: xy / xx, fit: yy === 0 ? 1 : xy ** 2 / (xx * yy) };
}
