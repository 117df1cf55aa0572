/** Numbers in `rows` × `columns`, row-major: one sample a row. */
export interface Matrix {
  readonly data: ArrayLike<number>;
  readonly rows: number;
  readonly columns: number;
}

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
