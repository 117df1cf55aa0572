import type { Float64Matrix, LinearAlgebra, Matrix } from '@logsnr/core';
import { nativeBackend, type OpAttr, type TensorMetadata } from './native.js';

// The number of float64 in TensorFlow's DataType, which the binding does not name.
const DOUBLE = 2;

/**
 * Float64 linear algebra by TensorFlow's own operations (`MatMul`, `Cholesky`, `SelfAdjointEigV2`), for `@logsnr/metrics`.
 * The binding makes no float64 tensors: numbers go in and out as a bit cast of int32 pairs. It works whichever backend is the
 * current one, holds no tensors, and blocks until it is done.
 * @throws Unavailable where the native backend is not registered.
 */
export function linearAlgebra(): LinearAlgebra {
  const { binding } = nativeBackend();
  const type = (name: string, value: number): OpAttr => ({ name, type: binding.TF_ATTR_TYPE, value });
  const flag = (name: string, value: boolean): OpAttr => ({ name, type: binding.TF_ATTR_BOOL, value });
  const numbers = type('T', DOUBLE);

  /** Runs an operation on matrices and reads those of its outputs that are asked for. */
  function run(name: string, attrs: OpAttr[], inputs: readonly Matrix[], outputs: number, read: readonly number[]) {
    const owned: number[] = [];
    const execute = (name: string, attrs: OpAttr[], ids: number[], count: number): TensorMetadata[] => {
      const made = binding.executeOp(name, attrs, ids, count);
      for (const { id } of made) owned.push(id);
      return made;
    };
    try {
      const ids = inputs.flatMap(({ data, rows, columns }) => {
        const values = data instanceof Float64Array ? data : Float64Array.from(data);
        const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
        const pairs = binding.createTensor([rows, columns, 2], binding.TF_INT32, words);
        owned.push(pairs);
        const cast = [type('T', binding.TF_INT32), type('type', DOUBLE)];
        return execute('Bitcast', cast, [pairs], 1).map(({ id }) => id);
      });
      const made = execute(name, attrs, ids, outputs);
      return read.map((i) => {
        const { id } = made[i] as TensorMetadata;
        const [pairs] = execute('Bitcast', [numbers, type('type', binding.TF_INT32)], [id], 1);
        return new Float64Array(binding.tensorDataSync((pairs as TensorMetadata).id).buffer as ArrayBuffer);
      });
    } finally {
      for (const id of owned) binding.deleteTensor(id);
    }
  }

  const eigen = (symmetric: Matrix, vectors: boolean) =>
    run('SelfAdjointEigV2', [flag('compute_v', vectors), numbers], [square(symmetric)], 2, vectors ? [0, 1] : [0]);
  return {
    multiply(a, b, transposed = {}) {
      const attrs = [flag('transpose_a', transposed.a ?? false), flag('transpose_b', transposed.b ?? false), numbers];
      const [data] = run('MatMul', attrs, [a, b], 1, [0]) as [Float64Array];
      return { data, rows: transposed.a ? a.columns : a.rows, columns: transposed.b ? b.rows : b.columns };
    },
    cholesky(symmetric) {
      try {
        const [data] = run('Cholesky', [numbers], [square(symmetric)], 1, [0]) as [Float64Array];
        return Number.isNaN(data.at(-1)) ? null : like(symmetric, data);
      } catch (error) {
        if (error instanceof Error && error.message.includes('Cholesky decomposition was not successful')) return null;
        throw error;
      }
    },
    eigenvalues: (symmetric) => eigen(symmetric, false)[0] as Float64Array,
    eigen(symmetric) {
      const [values, vectors] = eigen(symmetric, true) as [Float64Array, Float64Array];
      return { values, vectors: like(symmetric, vectors) };
    },
  };
}

const like = ({ rows, columns }: Matrix, data: Float64Array): Float64Matrix => ({ data, rows, columns });

function square(matrix: Matrix): Matrix {
  if (matrix.rows === matrix.columns) return matrix;
  throw new RangeError(`the matrix is ${matrix.rows} × ${matrix.columns}; it must be square and symmetric.`);
}
