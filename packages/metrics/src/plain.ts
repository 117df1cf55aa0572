import type { Float64Matrix, LinearAlgebra, Matrix } from '@logsnr/core';
import { CholeskyDecomposition, Matrix as Dense, EigenvalueDecomposition } from 'ml-matrix';

/** Linear algebra in JavaScript, by ml-matrix: what runs everywhere, for want of a native library. */
export const plain: LinearAlgebra = {
  multiply: (a, b, transposed = {}) =>
    flat((transposed.a ? dense(a).transpose() : dense(a)).mmul(transposed.b ? dense(b).transpose() : dense(b))),
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

const dense = ({ data, rows, columns }: Matrix): Dense => Dense.from1DArray(rows, columns, data);

const flat = (m: Dense): Float64Matrix => {
  const data = new Float64Array(m.rows * m.columns);
  for (let i = 0; i < m.rows; i++) data.set(m.getRow(i), i * m.columns);
  return { data, rows: m.rows, columns: m.columns };
};
