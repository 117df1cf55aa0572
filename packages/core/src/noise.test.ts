import { concat, slice } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { bits, fold, key, normal, normalNumbers, permutation, philox, uniforms } from './index.js';

test('philox gives the known answers of the Random123 distribution', () => {
  const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');
  const ones = 0xffffffff;
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

describe('keys', () => {
  test('seeds, folds and their order all give different keys', () => {
    const keys = [
      key(0),
      key(1),
      key(2 ** 32),
      fold(key(0), 0),
      fold(key(0), 1),
      fold(key(0), 1, 2),
      fold(key(0), 2, 1),
    ];
    expect(new Set(keys.map((k) => k.words.join())).size).toBe(keys.length);
    expect(fold(key(7), 1, 2)).toEqual(fold(fold(key(7), 1), 2));
  });

  test('a stream can be entered anywhere', () => {
    expect([...bits(key(3), 12).subarray(8)]).toEqual([...bits(key(3), 4, 2)]);
    expect(bits(key(3), 5)).toHaveLength(5);
  });

  test('uniforms fill [0, 1) evenly', () => {
    const u = uniforms(key(5), 100_000);
    const counts = new Array<number>(10).fill(0);
    for (const value of u) counts[Math.floor(value * 10)] = (counts[Math.floor(value * 10)] as number) + 1;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(27.9); // 99.9 % point for 9 degrees of freedom
  });

  test('permutation holds each number once, in another order for another key', () => {
    const order = permutation(key(1), 1000);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect([...order]).not.toEqual([...permutation(key(2), 1000)]);
    expect([...order]).not.toEqual([...Array(1000).keys()]);
  });

  test('seeds that are no integers are refused', () => {
    expect(() => key(-1)).toThrow('seed is -1; it must be an integer of at least 0.');
    expect(() => key(0.5)).toThrow(/seed is 0.5/);
    expect(() => fold(key(1), Number.NaN)).toThrow(/part is NaN/);
  });
});

describe('normal', () => {
  test('has the moments of N(0, 1) and no correlation between neighbours', () => {
    const x = normal(key(11), [100, 1000]).dataSync<'float32'>();
    const mean = (f: (value: number, i: number) => number) =>
      x.reduce((sum, value, i) => sum + f(value, i), 0) / x.length;
    expect(Math.abs(mean((v) => v))).toBeLessThan(0.013); // four standard errors
    expect(Math.abs(mean((v) => v * v) - 1)).toBeLessThan(0.018);
    expect(Math.abs(mean((v) => v ** 4) - 3)).toBeLessThan(0.13);
    expect(Math.abs(mean((v, i) => v * (x[i ^ 1] as number)))).toBeLessThan(0.013);
  });

  test.each([[[6, 5]], [[6, 3, 3, 1]], [[6]]])('splitting the batch of %j changes no sample', (shape) => {
    const [, ...rest] = shape;
    const k = fold(key(2), 9);
    const parts = concat([normal(k, [2, ...rest]), normal(k, [3, ...rest], 2), normal(k, [1, ...rest], 5)]);
    expect([...parts.dataSync()]).toEqual([...normal(k, shape).dataSync()]);
  });

  test('agrees with the generator in TypeScript on this backend', () => {
    const words = fold(key(4), 1).words;
    const drawn = normal({ words }, [7, 1001], 3).dataSync();
    const blocks = Math.ceil(1001 / 4);
    const expected = normalNumbers({ words, counter: 3 * blocks, samples: 7, blocks });
    for (let i = 0; i < 7; i++)
      for (let j = 0; j < 1001; j++)
        expect(Math.abs((drawn[i * 1001 + j] as number) - (expected[i * blocks * 4 + j] as number))).toBeLessThan(1e-6);
  });

  test('gives each purpose its own noise', () => {
    const a = normal(fold(key(0), 1), [1, 8]);
    const b = normal(fold(key(0), 2), [1, 8]);
    expect([...a.dataSync()]).not.toEqual([...b.dataSync()]);
    expect([...slice(normal(key(0), [2, 8]), [1, 0], [1, 8]).dataSync()]).not.toEqual([...a.dataSync()]);
  });

  test('leaks nothing and refuses bad sizes', () => {
    expectNoLeak(() => normal(key(0), [2, 3]));
    expect(() => normal(key(0), [2, 0])).toThrow('shape[1] is 0; it must be an integer of at least 1.');
    expect(() => normal(key(0), [2], -1)).toThrow(/firstSample is -1/);
  });
});
