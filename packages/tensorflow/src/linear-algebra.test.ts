import { key, type LinearAlgebra, type Matrix, uniforms } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { linearAlgebra, nativeBackend, useBackend } from './index.js';

let algebra: LinearAlgebra;
beforeAll(async () => {
  await useBackend({ quiet: true });
  algebra = linearAlgebra();
});

const matrix = (rows: number[][]): Matrix => ({
  data: rows.flat(),
  rows: rows.length,
  columns: rows[0]?.length ?? 0,
});
const random = (seed: number, rows: number, columns: number): Matrix => ({
  data: uniforms(key(seed), rows * columns),
  ...{ rows, columns },
});

test('products keep the digits that float32 lacks, transposed or not', () => {
  const a = matrix([
    [1, 2 ** -40],
    [3, 4],
    [5, 6],
  ]);
  const b = matrix([
    [1, 0],
    [1, 2],
  ]);
  expect(algebra.multiply(a, b)).toEqual({
    data: Float64Array.of(1 + 2 ** -40, 2 ** -39, 7, 8, 11, 12),
    ...{ rows: 3, columns: 2 },
  });
  expect([...algebra.multiply(a, b, { b: true }).data]).toEqual([1, 1 + 2 ** -39, 3, 11, 5, 17]);
  expect(algebra.multiply(b, a, { a: true, b: true })).toEqual({
    data: Float64Array.of(1 + 2 ** -40, 7, 11, 2 ** -39, 8, 12),
    ...{ rows: 2, columns: 3 },
  });
});

test('decompositions put the matrix together again, to float64 rounding', () => {
  const x = random(1, 40, 30);
  const gram = algebra.multiply(x, x, { a: true });
  const close = (a: Float64Array, b: Float64Array) => {
    expect(a.length).toBe(b.length);
    expect(Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))))).toBeLessThan(1e-12);
  };
  const lower = algebra.cholesky(gram);
  if (!lower) throw new Error('not positive definite');
  close(algebra.multiply(lower, lower, { b: true }).data, gram.data);
  const { values, vectors } = algebra.eigen(gram);
  const scaled = { ...vectors, data: vectors.data.map((value, i) => value * (values[i % 30] as number)) };
  close(algebra.multiply(scaled, vectors, { b: true }).data, gram.data);
  close(algebra.eigenvalues(gram), values);
});

test('a matrix that is not positive definite has no Cholesky factor; one that is not square is an error', () => {
  expect(
    algebra.cholesky(
      matrix([
        [1, 2],
        [2, 1],
      ]),
    ),
  ).toBeNull();
  expect(() => algebra.eigenvalues(random(1, 2, 3))).toThrow('the matrix is 2 × 3; it must be square');
  expect(() => algebra.multiply(random(1, 2, 3), random(1, 2, 3))).toThrow();
});

test('no tensor is left, after an error neither', () => {
  const { binding } = nativeBackend();
  const before = [tf.memory().numTensors, binding.getNumOfTensors()];
  const x = random(1, 4, 3);
  algebra.eigen(algebra.multiply(x, x, { a: true }));
  expect(() => algebra.multiply(x, x)).toThrow();
  algebra.cholesky(
    matrix([
      [1, 2],
      [2, 1],
    ]),
  );
  expect([tf.memory().numTensors, binding.getNumOfTensors()]).toEqual(before);
});
