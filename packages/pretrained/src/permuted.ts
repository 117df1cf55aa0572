export const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Values of this shape with their axes in another order: axis i of the result is axis `order[i]`. */
export function permuted(data: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  if (order.every((axis, i) => axis === i)) return data;
  const result = new Float32Array(data.length);
  const axes = order.map((axis) => ({
    size: shape[axis] as number,
    stride: countOf(shape.slice(axis + 1)),
  }));
  let at = 0;
  const walk = (axis: number, from: number): void => {
    const { size, stride } = axes[axis] as { size: number; stride: number };
    const end = from + size * stride;
    if (axis < axes.length - 1) for (let i = from; i < end; i += stride) walk(axis + 1, i);
    else for (let i = from; i < end; i += stride) result[at++] = data[i] as number;
  };
  walk(0, 0);
  return result;
}

/** The order that undoes an order of axes. */
export const inverseOf = (order: readonly number[]): number[] => order.map((_, axis) => order.indexOf(axis));
