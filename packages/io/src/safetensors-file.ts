import { createHash } from 'node:crypto';
import { withFile } from './files.js';
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
import { type Values, valuesOf } from './values.js';

/** A safetensors file that is open, its header checked, and the whole of it where it has a checksum. */
export interface OpenSafetensors {
  readonly entries: readonly Entry[];
  readonly metadata: Metadata;
  /** Whether the file has a checksum. */
  readonly checked: boolean;
  /** The values of a tensor, read now. */
  values(entry: Entry): Promise<Values>;
}

/**
 * Opens a safetensors file, hands it to `body` and closes it. One tensor at a time is in memory.
 * @throws DamagedFile that names the file and what is wrong with it.
 * @throws Error where it cannot be read.
 */
export const withSafetensors = <R>(path: string, body: (file: OpenSafetensors) => Promise<R>): Promise<R> =>
  withFile(path, async ({ bytes, read, pieces }) => {
    const dataStart = dataStartOf(await read(0, Math.min(8, bytes)), bytes, path);
    const header = parseHeader(await read(0, dataStart), bytes, path);
    const { entries, metadata, checksum } = header;
    if (checksum) {
      const hash = createHash('sha256').update(checksum.header);
      for await (const piece of pieces(dataStart)) hash.update(piece);
      assertChecksum(header, hash.digest('hex'), path);
    }
    const values = async ({ dtype, start, end }: Entry) => valuesOf(dtype, await read(dataStart + start, end - start));
    return body({ entries, metadata, checked: checksum !== undefined, values });
  });

/**
 * The pieces of a safetensors file with a checksum, for `writeSynced` and `replaceFile`. `data` gives the bytes of each
 * tensor, and is asked twice: the checksum stands before them.
 * @throws RangeError on whatever could not be read; Error where the bytes are others the second time.
 */
export async function* safetensorsPieces(
  headings: readonly Heading[],
  metadata: Metadata,
  data: () => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { header, length } = frame(headings, metadata);
  const first = createHash('sha256').update(header);
  let bytes = 0;
  for await (const piece of data()) {
    first.update(piece);
    bytes += piece.length;
  }
  if (bytes !== length) throw new RangeError(`the tensors have ${bytes} bytes; their shapes need ${length}.`);
  const sha256 = first.digest('hex');
  yield sealed(header, sha256);
  const second = createHash('sha256').update(header);
  for await (const piece of data()) {
    second.update(piece);
    yield piece;
  }
  if (second.digest('hex') !== sha256)
    throw new Error('the tensors changed while they were written. Write a copy of them.');
}
