import type { Heading } from '@logsnr/io';
import { assertShapes } from '@logsnr/training';
import type { Mapping, Named } from './mapping.js';

/** The types that become float32. */
const FLOATS = ['F32', 'F16', 'BF16', 'F64'];

/** All tensors that a peer's file of a mapping may have. */
export const namedOf = ({ pieces, fixed }: Mapping): Named[] => [
  ...pieces.flatMap(({ parts, copies }) => [
    ...parts,
    ...copies.flatMap((copy) => copy.map((name, i) => ({ name, shape: (parts[i] as Named).shape }))),
  ]),
  ...fixed,
];

/**
 * Throws unless a file has the tensors of a mapping, as floats, and no others.
 * @throws RangeError that lists what is missing, unexpected, of another shape or of another type, by name.
 */
export function checkHeadings(entries: readonly Heading[], mapping: Mapping, what: string): void {
  const given = Object.fromEntries(entries.map((entry) => [entry.name, entry]));
  const absent = new Set(mapping.fixed.flatMap(({ name, optional }) => (optional && !(name in given) ? [name] : [])));
  const wanted = namedOf(mapping).flatMap(({ name, shape }) => (absent.has(name) ? [] : [[name, shape] as const]));
  assertShapes(given, Object.fromEntries(wanted), `the tensors in ${what}`);
  for (const { name, dtype } of entries)
    if (!FLOATS.includes(dtype))
      throw new RangeError(`${what} has ${name} as ${dtype}; accepted is ${FLOATS.join(', ')}.`);
}
