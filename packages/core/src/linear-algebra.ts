/** Numbers in `rows` × `columns`, row-major: one sample a row. */
export interface Matrix {
  readonly data: ArrayLike<number>;
  readonly rows: number;
  readonly columns: number;
}

/** A matrix of float64 numbers. */
export interface Float64Matrix extends Matrix {
  readonly data: Float64Array;
}

/** Which of two factors is transposed. */
export interface Transposed {
  readonly a?: boolean;
  readonly b?: boolean;
}

/** The eigenvalues of a symmetric matrix, and its eigenvectors as columns in the same order. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Matrix;
}

/**
 * Linear algebra on float64 numbers. `@logsnr/metrics` has one in JavaScript, which is what it takes unless given another;
 * `linearAlgebra()` of `@logsnr/tensorflow` runs in TensorFlow's library. All arguments are borrowed.
 */
export interface LinearAlgebra {
  /** a b, or with either of them transposed. */
  multiply(a: Matrix, b: Matrix, transposed?: Transposed): Float64Matrix;
  /** The lower triangular L with L Lᵀ = `symmetric`, or null where that is not positive definite. */
  cholesky(symmetric: Matrix): Float64Matrix | null;
  /** The eigenvalues of a symmetric matrix, in any order. */
  eigenvalues(symmetric: Matrix): Float64Array;
  /** The same with eigenvectors, of length 1. */
  eigen(symmetric: Matrix): Eigen;
}
