import type { Float64Matrix, Matrix } from '@logsnr/core';

/** Throws a `RangeError` unless `matrix` has at least one row and column, as many numbers as it says, and all finite. */
export function checkMatrix(what: string, { data, rows, columns }: Matrix): void {
  if (!Number.isSafeInteger(rows) || !Number.isSafeInteger(columns) || rows < 1 || columns < 1)
    throw new RangeError(`${what} is ${rows} × ${columns}; it must have at least one row and one column.`);
  if (data.length !== rows * columns)
    throw new RangeError(`${what} has ${data.length} numbers; ${rows} × ${columns} needs ${rows * columns}.`);
  for (let i = 0; i < data.length; i++)
    if (!Number.isFinite(data[i]))
      throw new RangeError(
        `${what} holds ${data[i]} at row ${Math.floor(i / columns)}, column ${i % columns}; all its numbers must be finite.`,
      );
}

/** Throws a `RangeError` unless two sets of features are sound and of the same features. */
export function checkPair(a: string, x: Matrix, b: string, y: Matrix): void {
  checkMatrix(a, x);
  checkMatrix(b, y);
  if (x.columns !== y.columns)
    throw new RangeError(`${a} and ${b} have ${x.columns} and ${y.columns} columns; they must be the same features.`);
}

/** Some rows of a matrix as float64 numbers: those from `start` to before `end`, or those listed. A copy. */
export function rowsOf({ data, rows, columns }: Matrix, start = 0, end = rows): Float64Matrix {
  const last = Math.min(end, rows);
  const part = new Float64Array((last - start) * columns);
  for (let i = 0; i < part.length; i++) part[i] = data[start * columns + i] as number;
  return { data: part, rows: last - start, columns };
}

/** The listed rows of a matrix, as float64 numbers. */
export function pick({ data, columns }: Matrix, indices: ArrayLike<number>): Float64Matrix {
  const part = new Float64Array(indices.length * columns);
  for (let i = 0; i < indices.length; i++)
    for (let j = 0; j < columns; j++) part[i * columns + j] = data[(indices[i] as number) * columns + j] as number;
  return { data: part, rows: indices.length, columns };
}
