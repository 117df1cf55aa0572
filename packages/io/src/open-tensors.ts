import type { Heading, Metadata } from './header.js';
import type { Values } from './values.js';

/** A file of tensors that is open, all but their values checked. */
export interface OpenTensors {
  readonly entries: readonly Heading[];
  /** What the file says in text, by names. */
  readonly metadata: Metadata;
  /**
   * The values of a tensor, read now.
   * @throws RangeError where the file has none of that name.
   */
  values(entry: Pick<Heading, 'name'>): Promise<Values>;
}

/** Finds what a file has by its name. */
export function namedIn<E extends Heading>(entries: readonly E[], path: string): (name: string) => E {
  const named = new Map(entries.map((entry) => [entry.name, entry]));
  return (name) => {
    const entry = named.get(name);
    if (!entry) throw new RangeError(`${path} has no tensor "${name}".`);
    return entry;
  };
}
