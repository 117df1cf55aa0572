import { readFileSync } from 'node:fs';
import { key, type LinearAlgebra } from '@logsnr/core';
import {
  frechetDistance,
  gaussianStatistics,
  kid,
  type Manifold,
  type Matrix,
  manifold,
  mergeMoments,
  mmd,
  moments,
  vendiScore,
} from '@logsnr/metrics';
import { linearAlgebra, useBackend } from '@logsnr/tensorflow';
import { beforeAll, describe, expect, test } from 'vitest';

interface Peer {
  readonly mean: number[];
  readonly variance: number[];
  readonly frechet: number;
  readonly singular: number;
  readonly mmd: number;
  readonly kid: { readonly mean: number; readonly std: number };
  readonly manifold: Readonly<Record<string, Manifold>>;
  readonly vendi: number;
}

// What scipy, torch-fidelity, prdc and vendi-score make of the same features: parity/metrics.py.
const peer: Peer = JSON.parse(readFileSync(new URL('fixtures/metrics.json', import.meta.url), 'utf8'));

/** `draw` of parity/metrics.py. */
function draw(seed: number, rows: number, columns: number, spread: number, shift: number): Matrix {
  let state = seed;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const x = Float64Array.from({ length: rows * columns }, () => next() + next() + next() - 1.5);
  const data = x.map((value, i) => {
    const j = i % columns;
    return (value + (j > 0 ? 0.5 * (x[i - 1] as number) : 0)) * spread ** j + shift;
  });
  return { data, rows, columns };
}
const head = ({ data, columns }: Matrix, rows: number): Matrix => ({
  ...{ data: Array.from(data).slice(0, rows * columns), rows, columns },
});
const [x, y] = [draw(1, 300, 16, 0.9, 0), draw(7, 260, 16, 0.85, 0.1)];

let native: LinearAlgebra;
beforeAll(async () => {
  await useBackend({ quiet: true });
  native = linearAlgebra();
});

/** The largest relative difference. */
const off = (found: ArrayLike<number>, expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs((found[i] as number) - value) / Math.abs(value)));

describe.each([
  ['in JavaScript', (): LinearAlgebra | undefined => undefined],
  ["in TensorFlow's library", (): LinearAlgebra | undefined => native],
] as const)('%s', (_, algebraOf) => {
  test('moments, whole or merged, and the Fréchet distance are those of numpy and scipy', () => {
    const algebra = algebraOf();
    const statistics = gaussianStatistics(x, algebra);
    expect(off(statistics.mean, peer.mean)).toBeLessThan(1e-12);
    const variances = peer.variance.map((_, j) => statistics.covariance[17 * j] ?? 0);
    expect(off(variances, peer.variance)).toBeLessThan(1e-12);
    const rest = { ...x, data: Array.from(x.data).slice(70 * 16), rows: 230 };
    const merged = gaussianStatistics(mergeMoments(moments(head(x, 70), algebra), moments(rest, algebra)));
    expect(off(merged.covariance, [...statistics.covariance])).toBeLessThan(1e-10);
    const distance = frechetDistance(statistics, gaussianStatistics(y, algebra), algebra);
    expect(off([distance], [peer.frechet])).toBeLessThan(1e-6);
    expect(frechetDistance(statistics, merged, algebra)).toBeLessThan(1e-6);
  });

  test("fewer samples than dimensions: the distance is that of the samples' singular values", () => {
    const algebra = algebraOf();
    const few = [head(x, 9), head(y, 11)].map((m) => gaussianStatistics(m, algebra));
    const [a, b] = few as [(typeof few)[number], (typeof few)[number]];
    expect(off([frechetDistance(a, b, algebra)], [peer.singular])).toBeLessThan(1e-6);
    expect(frechetDistance(a, a, algebra)).toBeLessThan(1e-6);
  });

  test('KID is that of torch-fidelity, in full and on the same subsets', () => {
    const algebra = algebraOf();
    expect(off([mmd(head(x, 260), y, algebra).value], [peer.mmd])).toBeLessThan(1e-6);
    const { mean, std } = kid(x, y, { subsets: 4, size: 100, key: key(5), algebra });
    expect(off([mean, std], [peer.kid.mean, peer.kid.std])).toBeLessThan(1e-6);
  });

  test('precision, recall, density and coverage are those of prdc', () => {
    for (const k of [3, 5]) expect(manifold(x, y, { k, algebra: algebraOf() })).toEqual(peer.manifold[k]);
  });

  test('the Vendi Score is that of its authors', () => {
    expect(off([vendiScore(x, { algebra: algebraOf() })], [peer.vendi])).toBeLessThan(1e-6);
  });
});
