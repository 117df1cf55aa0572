/** Anything with a shape, such as a tensor or an entry of a file's header. */
export interface Shaped {
  readonly shape: readonly number[];
}

/**
 * Throws unless `parameters` has exactly the names and shapes of `shapes` (a network's `shapes`). The error lists every
 * name that is missing, unexpected, or of another shape; `what` says where the parameters come from.
 */
export function assertShapes(
  parameters: Readonly<Record<string, Shaped>>,
  shapes: Readonly<Record<string, readonly number[]>>,
  what = 'the parameters',
): void {
  const faults: string[] = [];
  for (const [name, shape] of Object.entries(shapes)) {
    const given = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (!given) faults.push(`missing: ${name} [${shape.join(', ')}]`);
    else if (given.shape.length !== shape.length || shape.some((size, i) => size !== given.shape[i]))
      faults.push(`wrong shape: ${name} is [${given.shape.join(', ')}], must be [${shape.join(', ')}]`);
  }
  for (const name of Object.keys(parameters))
    if (!Object.hasOwn(shapes, name)) faults.push(`unexpected: ${name} [${parameters[name]?.shape.join(', ')}]`);
  if (faults.length > 0)
    throw new RangeError(
      `${what} do not fit the network; build it with the settings it was trained with.\n  ${faults.join('\n  ')}`,
    );
}
