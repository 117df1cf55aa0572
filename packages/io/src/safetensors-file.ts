import { createHash } from 'node:crypto';
import { DamagedFile } from './damaged-file.js';
import type { Pieces } from './durable.js';
import { type Fingerprint, type Reading, withFile } from './files.js';
import {
  assertChecksum,
  dataStartOf,
  type Entry,
  frame,
  type Heading,
  type Metadata,
  parseHeader,
  sealed,
} from './header.js';
import { namedIn, type OpenTensors } from './open-tensors.js';
import { type Values, valuesOf } from './values.js';

/** A safetensors file that is open, its header checked, and the whole of it where it has a checksum. */
export interface OpenSafetensors extends OpenTensors {
  readonly entries: readonly Entry[];
  /** Whether the file has a checksum. */
  readonly checked: boolean;
  /** The values of a tensor, `count` steps of its first axis at a time and at the end what is left. */
  rows(entry: { readonly name: string }, count: number): AsyncGenerator<Values>;
}

/**
 * Opens a safetensors file, hands it to `body` and closes it. One tensor at a time is in memory.
 * @param written the fingerprint that the file must have.
 * @throws DamagedFile that names the file and what is wrong with it.
 * @throws Error where it cannot be read.
 */
export const withSafetensors = <R>(
  path: string,
  body: (file: OpenSafetensors) => Promise<R>,
  written?: Fingerprint,
): Promise<R> => withFile(path, async (file) => body(await openSafetensors(file, path, written)));

export async function openSafetensors(
  { bytes, read, pieces }: Reading,
  path: string,
  written?: Fingerprint,
): Promise<OpenSafetensors> {
  if (written && bytes !== written.bytes)
    throw new DamagedFile(`${path} has ${bytes} bytes where ${written.bytes} were written`);
  const dataStart = dataStartOf(await read(0, Math.min(8, bytes)), bytes, path);
  const beginning = await read(0, dataStart);
  const header = parseHeader(beginning, bytes, path);
  const { entries, metadata, checksum } = header;
  const own = checksum && createHash('sha256').update(checksum.header);
  const whole = written && createHash('sha256').update(beginning);
  if (own || whole)
    for await (const piece of pieces(dataStart)) {
      own?.update(piece);
      whole?.update(piece);
    }
  if (whole && whole.digest('hex') !== written.sha256)
    throw new DamagedFile(`${path} was changed since it was written`);
  if (own) assertChecksum(header, own.digest('hex'), path);
  const named = namedIn(entries, path);
  const values = async ({ name }: Pick<Entry, 'name'>) => {
    const { dtype, start, end } = named(name);
    return valuesOf(dtype, await read(dataStart + start, end - start));
  };
  async function* rows({ name }: Pick<Entry, 'name'>, count: number) {
    const { dtype, shape, start, end } = named(name);
    const step = ((end - start) / Math.max(1, shape[0] ?? 1)) * count;
    for (let at = start; at < end; at += step)
      yield valuesOf(dtype, await read(dataStart + at, Math.min(step, end - at)));
  }
  return { entries, metadata, checked: checksum !== undefined, values, rows };
}

/**
 * The pieces of a safetensors file with a checksum, for `writeSynced` and `replaceFile`. `data` gives the bytes of each
 * tensor, one after the other. The checksum, which stands before them, comes last.
 * @throws RangeError on whatever could not be read.
 */
export async function* safetensorsPieces(
  headings: readonly Heading[],
  metadata: Metadata,
  data: AsyncIterable<Uint8Array>,
): Pieces {
  const { header, length } = frame(headings, metadata);
  const hash = createHash('sha256').update(header);
  yield header;
  let bytes = 0;
  for await (const given of data) {
    // Others may write to what was given, such as a tensor's own memory, while the disk is waited for.
    const piece = given.slice();
    hash.update(piece);
    bytes += piece.length;
    yield piece;
  }
  if (bytes !== length) throw new RangeError(`the tensors have ${bytes} bytes; their shapes need ${length}.`);
  return sealed(header, hash.digest('hex'));
}
