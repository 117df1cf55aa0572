import { describe, expect, test } from 'vitest';
import { searchInterval } from './index.js';

const edges = [-8, -6, -4, -2, 0, 2, 4, 6, 8];

describe('searchInterval', () => {
  test('finds the best of a bowl, with fewer scores than pairs, each once', async () => {
    const { best, tried } = await searchInterval({
      edges,
      score: async (low, high) => (low + 4) ** 2 + (high - 2) ** 2 + 0.5 * (low + 4) * (high - 2),
    });
    expect(best).toEqual({ low: -4, high: 2, score: 0 });
    expect(tried[0]).toMatchObject({ low: -8, high: 8 });
    expect(new Set(tried.map(({ low, high }) => `${low} ${high}`)).size).toBe(tried.length);
    expect(tried.length).toBeLessThan(36);
    expect(tried.every(({ low, high }) => low < high)).toBe(true);
  });
  test('ends where no edge can be moved for the better', async () => {
    // Random numbers: whatever it finds, no neighbour along one edge may be better.
    const random = (low: number, high: number) => Math.abs(Math.sin(1e4 * low + 7 * high)) % 1;
    const { best } = await searchInterval({ edges, score: random });
    for (const edge of edges) {
      if (edge < best.high) expect(random(edge, best.high)).toBeGreaterThanOrEqual(best.score);
      if (edge > best.low) expect(random(best.low, edge)).toBeGreaterThanOrEqual(best.score);
    }
  });
  test('keeps the whole range where nothing is better', async () => {
    expect((await searchInterval({ edges, score: () => 1 })).best).toEqual({ low: -8, high: 8, score: 1 });
  });
  test('refuses edges that are none, and scores that are none', async () => {
    const score = () => 1;
    await expect(searchInterval({ edges: [0, 1], score })).rejects.toThrow('number of edges is 2');
    await expect(searchInterval({ edges: [0, 2, 1], score })).rejects.toThrow(RangeError);
    await expect(searchInterval({ edges, score: () => Number.NaN })).rejects.toThrow('the score between -8 and 8');
  });
});
