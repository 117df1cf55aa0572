/** Anything with a shape, such as a tensor or an entry of a file's header. */
export interface Shaped {
  readonly shape: readonly number[];
}

/** How many names of a kind an error lists. */
const LISTED = 10;

/**
 * Throws unless `parameters` has exactly the names and shapes of `shapes` (a network's `shapes`). The error lists what is
 * missing, unexpected, or of another shape, ten names of each and their number; `what` says where the parameters come from.
 */
export function assertShapes(
  parameters: Readonly<Record<string, Shaped>>,
  shapes: Readonly<Record<string, readonly number[]>>,
  what = 'the parameters',
): void {
  const text = (shape: readonly number[] = []): string => `[${shape.join(', ')}]`;
  const of = (name: string): Shaped | undefined => (Object.hasOwn(parameters, name) ? parameters[name] : undefined);
  const wanted = Object.entries(shapes);
  const faults = [
    ...listed(
      'wrong shape',
      wanted.flatMap(([name, shape]) => {
        const given = of(name)?.shape;
        return !given || text(given) === text(shape) ? [] : [`${name} is ${text(given)}, must be ${text(shape)}`];
      }),
    ),
    ...listed(
      'missing',
      wanted.flatMap(([name, shape]) => (of(name) ? [] : [`${name} ${text(shape)}`])),
    ),
    ...listed(
      'unexpected',
      Object.keys(parameters).flatMap((name) =>
        Object.hasOwn(shapes, name) ? [] : [`${name} ${text(of(name)?.shape)}`],
      ),
    ),
  ];
  if (faults.length > 0)
    throw new RangeError(
      `${what} do not fit the network; build it with the settings it was trained with.\n  ${faults.join('\n  ')}`,
    );
}

const listed = (kind: string, names: readonly string[]): string[] => {
  const lines = names.slice(0, LISTED).map((name) => `${kind}: ${name.slice(0, 300)}`);
  return names.length > LISTED ? [...lines, `${kind}: ${names.length} in all`] : lines;
};
