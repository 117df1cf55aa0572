// The tilted density of a Gaussian mixture in the plane on cells, and the distance of samples to it.
import { type Component, type Key, uniforms } from '@logsnr/core';

/** Cells along one side of the square [−4, 4]². */
export const CELLS = 80;
export const REACH = 4;
const WIDTH = (2 * REACH) / CELLS;

/** One Gaussian of the mixture, with its label and its weight, which need not sum to 1. */
export type Gaussian = Required<Component>;

/** The share of each cell, row by row from the lowest y, and last the share of all that is outside of the square. */
export type Shares = Float64Array;

type Log = (x: number, y: number) => number;

/** ln Σ_k π_k N(x, y; μ_k, s_k² I) + ln 2π for π_k as they are, as a function of a point. */
function logDensity(parts: readonly Gaussian[]): Log {
  const rows = parts.map(({ mean: [a = 0, b = 0], std, weight }) => ({
    a,
    b,
    log: Math.log(weight / std ** 2),
    by: 0.5 / std ** 2,
  }));
  const logs = new Float64Array(rows.length);
  return (x, y) => {
    let [top, sum] = [Number.NEGATIVE_INFINITY, 0];
    for (let k = 0; k < rows.length; k++) {
      const { a, b, log, by } = rows[k] as (typeof rows)[number];
      logs[k] = log - by * ((x - a) ** 2 + (y - b) ** 2);
      top = Math.max(top, logs[k] as number);
    }
    for (const log of logs) sum += Math.exp(log - top);
    return top + Math.log(sum);
  };
}

/**
 * The shares of p̃(x|c) ∝ p(x|c)^{1+w} p(x)^{−w}, w ≥ −1, by the midpoint rule within each cell. The whole is the sum over the Gaussians k that
 * carry it, those of the class (all of them for w < 0), of ∫ p̃ r_k, where r_k is the share of k in their sum: each is as narrow as k.
 */
export function tiltedShares(mixture: readonly Gaussian[], label: number, w: number): Shares {
  const own = mixture.filter((part) => part.label === label);
  const bearing = w < 0 ? mixture : own;
  const least = Math.min(...mixture.map(({ std }) => std));
  const [ofOwn, ofAll, ofBearing] = [own, mixture, bearing].map(logDensity) as [Log, Log, Log];
  const log: Log = (x, y) => (1 + w) * ofOwn(x, y) - (w === 0 ? 0 : w * ofAll(x, y));
  // Subtracted before the exponential is taken, as p̃ may be far from 1. It is at most about (Σ π)^w N_k(μ_k).
  const offset = Math.max(...bearing.map(({ mean }) => log(mean[0] as number, mean[1] as number)));
  let whole = 0;
  for (const part of bearing) {
    const [cx, cy] = part.mean as [number, number];
    const ofPart = logDensity([part]);
    const step = Math.min(part.std / 10, Math.max(least / 3, part.std / 40));
    const reach = Math.ceil((8 * part.std) / step);
    for (let i = -reach; i <= reach; i++)
      for (let j = -reach; j <= reach; j++) {
        const [x, y] = [cx + i * step, cy + j * step];
        whole += Math.exp(log(x, y) - offset + ofPart(x, y) - ofBearing(x, y)) * step ** 2;
      }
  }
  const parts = Math.min(40, Math.max(4, Math.ceil((3 * WIDTH) / least)));
  const shares = new Float64Array(CELLS ** 2 + 1);
  const at = (index: number, part: number) => -REACH + (index + (part + 0.5) / parts) * WIDTH;
  let inside = 0;
  for (let cell = 0; cell < CELLS ** 2; cell++) {
    let sum = 0;
    for (let i = 0; i < parts; i++)
      for (let j = 0; j < parts; j++)
        sum += Math.exp(log(at(cell % CELLS, i), at(Math.floor(cell / CELLS), j)) - offset);
    shares[cell] = (sum * (WIDTH / parts) ** 2) / whole;
    inside += shares[cell] as number;
  }
  shares[CELLS ** 2] = Math.max(0, 1 - inside);
  return shares;
}

/** The shares of points x_1, y_1, x_2, y_2, … */
export function sharesOf(points: ArrayLike<number>): Shares {
  const shares = new Float64Array(CELLS ** 2 + 1);
  const n = points.length / 2;
  const cellOf = (value: number) => Math.floor((value + REACH) / WIDTH);
  for (let i = 0; i < n; i++) {
    const [column, row] = [cellOf(points[2 * i] as number), cellOf(points[2 * i + 1] as number)];
    const inside = column >= 0 && column < CELLS && row >= 0 && row < CELLS;
    const cell = inside ? row * CELLS + column : CELLS ** 2;
    shares[cell] = (shares[cell] as number) + 1 / n;
  }
  return shares;
}

/** The shares of n independent samples of a law on the cells. */
export function drawnShares(law: Shares, n: number, k: Key): Shares {
  let sum = 0;
  const ends = law.map((share) => {
    sum += share;
    return sum;
  });
  const shares = new Float64Array(law.length);
  for (const u of uniforms(k, n)) {
    let [low, high] = [0, law.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as number) > u * sum) high = middle;
      else low = middle + 1;
    }
    shares[low] = (shares[low] as number) + 1 / n;
  }
  return shares;
}

/** Half the L¹ distance: 0 for equal laws, 1 for laws with no cell in common. */
export const distance = (a: Shares, b: Shares): number =>
  a.reduce((sum, share, i) => sum + Math.abs(share - (b[i] as number)), 0) / 2;

/** Shares as a density in the square, for a heat map. */
export const densityOf = (shares: Shares): Float64Array =>
  shares.subarray(0, CELLS ** 2).map((share) => share / WIDTH ** 2);
