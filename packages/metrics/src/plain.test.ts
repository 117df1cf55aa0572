import { key, type Matrix, uniforms } from '@logsnr/core';
import { expect, test } from 'vitest';
import { plain } from './plain.js';

const random = (seed: number, rows: number, columns: number): Matrix => ({
  data: uniforms(key(seed), rows * columns),
  ...{ rows, columns },
});
const at = ({ data, columns }: Matrix, i: number, j: number): number => data[i * columns + j] as number;

test.each([
  [1, 1, 1],
  [3, 5, 2],
  [5, 7, 9],
  // More columns than a block of rows has room for, and more rows than one block.
  [2, 1500, 11],
  [9, 40, 430],
])('products of %i × %i × %i are sums of products, transposed or not', (m, d, n) => {
  const [a, b] = [random(1, m, d), random(2, d, n)];
  const turned = (x: Matrix): Matrix => ({
    data: Array.from({ length: x.rows * x.columns }, (_, i) => at(x, i % x.rows, Math.floor(i / x.rows))),
    ...{ rows: x.columns, columns: x.rows },
  });
  const expected = Array.from({ length: m * n }, (_, i) =>
    Array.from({ length: d }, (_, k) => at(a, Math.floor(i / n), k) * at(b, k, i % n)).reduce((x, y) => x + y, 0),
  );
  for (const found of [
    plain.multiply(a, b),
    plain.multiply(turned(a), b, { a: true }),
    plain.multiply(a, turned(b), { b: true }),
    plain.multiply(turned(a), turned(b), { a: true, b: true }),
  ]) {
    expect([found.rows, found.columns, found.data.length]).toEqual([m, n, m * n]);
    expect(Math.max(...expected.map((value, i) => Math.abs(value - (found.data[i] as number))))).toBeLessThan(1e-11);
  }
  expect(() => plain.multiply(a, random(3, d + 1, n))).toThrow(`a product of ${m} × ${d} and ${d + 1} × ${n}`);
});
