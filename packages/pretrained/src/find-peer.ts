import type { OpenTensors } from '@logsnr/io/node';
import { namedOf } from './check-headings.js';
import type { Mapping } from './mapping.js';

/**
 * Whose names and layouts a file has. `guided-diffusion`: OpenAI's. `dit`: those of the authors of DiT. `diffusers`:
 * `UNet2DModel` and `DiTTransformer2DModel`. `logsnr`: this library's own.
 */
export type Peer = 'guided-diffusion' | 'dit' | 'diffusers' | 'logsnr';

/** The mappings of one network by peer. */
export type Mappings = Readonly<Partial<Record<Peer, Mapping>>>;

/** The tensors of a file with other names; a tensor whose name becomes undefined is left out. */
export function renamedTensors(file: OpenTensors, rename: (name: string) => string | undefined): OpenTensors {
  const before = new Map<string, string>();
  const entries = file.entries.flatMap((entry) => {
    const name = rename(entry.name);
    if (name === undefined) return [];
    const other = before.get(name);
    if (other !== undefined) throw new RangeError(`"${other}" and "${entry.name}" are names of one tensor, ${name}.`);
    before.set(name, entry.name);
    return [{ ...entry, name }];
  });
  return { ...file, entries, values: ({ name }) => file.values({ name: before.get(name) ?? name }) };
}

/**
 * The tensors of a file whose names begin with a prefix and a dot, without them.
 * @throws RangeError where there are none.
 */
export function tensorsUnder(file: OpenTensors, prefix: string | undefined, what: string): OpenTensors {
  if (prefix === undefined) return file;
  const under = renamedTensors(file, (name) =>
    name.startsWith(`${prefix}.`) ? name.slice(prefix.length + 1) : undefined,
  );
  if (under.entries.length > 0) return under;
  const first = [...new Set(file.entries.map(({ name }) => name.split('.', 1)[0] as string))].slice(0, 10);
  throw new RangeError(
    `${what} has no tensor under "${prefix}"; its names begin with ${first.map((name) => `"${name.slice(0, 100)}"`).join(', ')}.`,
  );
}

/**
 * The mapping that a file's names fit best, and the file with its later names.
 * @throws RangeError where they fit none; it says under which prefix they do, where there is one.
 */
export function findPeer(file: OpenTensors, mappings: Mappings, what: string): { mapping: Mapping; file: OpenTensors } {
  const tried = Object.entries(mappings).map(([peer, mapping]) => {
    const named = mapping.renamed ? renamedTensors(file, mapping.renamed) : file;
    const wanted = new Set(namedOf(mapping).map(({ name }) => name));
    return { peer, mapping, file: named, wanted, score: named.entries.filter(({ name }) => wanted.has(name)).length };
  });
  const best = tried.reduce((a, b) => (b.score > a.score ? b : a));
  if (best.score > 0) return best;
  const prefixes = [...new Set(tried.flatMap(({ file, wanted }) => prefixesOf(file, wanted)))];
  const first = file.entries.slice(0, 5).map(({ name }) => name.slice(0, 200));
  throw new RangeError(
    prefixes.length > 0
      ? `${what} has the tensors of this network under ${prefixes.map((prefix) => `"${prefix}"`).join(', ')}. Say which: { under: '${prefixes[0]}' }.`
      : `${what} has ${file.entries.length} tensors${first.length > 0 ? `, ${first.join(', ')}, …` : ''}, and none with a name that ${tried.map(({ peer }) => peer).join(' or ')} has for a parameter of this network.`,
  );
}

/** More dots than any prefix has. */
const DEEPEST = 8;

/** What stands before the names of at least half of the tensors that are wanted. */
function prefixesOf({ entries }: OpenTensors, wanted: ReadonlySet<string>): string[] {
  const found = new Map<string, number>();
  for (const { name } of entries) {
    const parts = name.split('.', DEEPEST + 1);
    for (let at = 1; at < Math.min(parts.length, DEEPEST); at++) {
      const prefix = parts.slice(0, at).join('.');
      if (wanted.has(name.slice(prefix.length + 1))) found.set(prefix, (found.get(prefix) ?? 0) + 1);
    }
  }
  return [...found].flatMap(([prefix, count]) => (2 * count >= wanted.size ? [prefix] : []));
}
