import { type Crc, crc32 } from './crc.js';

/** An entry to be stored: its bytes come in pieces, `size` of them in all. */
export interface Storing {
  readonly name: string;
  readonly size: number;
  bytes(): AsyncIterable<Uint8Array>;
}

// Of npm's writers yazl places data at no alignment; zip.js does, in 8 MB of code.

/** From here on a number takes 64 bits, elsewhere. */
const LARGE = 0xffffffff;
/** The name is UTF-8, and the checksum comes after the data. */
const FLAGS = 0x0808;
const [ZIP64, PADDING] = [0x0001, 0x4246];

/**
 * A zip file (PKWARE's APPNOTE 6.3.10) of entries as they are, piece by piece. The data of each begins at a multiple of
 * `align` bytes, as torch.save has it. Entries and files of 4 GiB and more are as zip64 has them.
 */
export async function* zipPieces(
  entries: readonly Storing[],
  align = 64,
  crc: Crc = crc32,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  const directory: Buffer[] = [];
  for (const { name, size, bytes } of entries) {
    const [header, large] = [at, size >= LARGE];
    const local = localHeader(name, size, at, align);
    yield local;
    at += local.length + size;
    let sum = 0;
    for await (const piece of bytes()) {
      sum = crc(piece, sum);
      yield piece;
    }
    const after = fields([4, 0x08074b50], [4, sum], [large ? 8 : 4, size], [large ? 8 : 4, size]);
    yield after;
    at += after.length;
    directory.push(directoryEntry(name, size, sum, header));
  }
  const start = at;
  for (const entry of directory) {
    yield entry;
    at += entry.length;
  }
  yield directoryEnd(entries.length, at - start, start);
}

function localHeader(name: string, size: number, at: number, align: number): Buffer {
  const [text, large] = [Buffer.from(name), size >= LARGE];
  const sizes = large ? fields([2, ZIP64], [2, 16], [8, size], [8, size]) : Buffer.alloc(0);
  // The padding is a field too, of four bytes and more.
  const start = at + 30 + text.length + sizes.length + 4;
  const padding = Buffer.alloc((align - (start % align)) % align, 'Z');
  return Buffer.concat([
    fields([4, 0x04034b50], [2, large ? 45 : 20], [2, FLAGS], [2, 0], [4, 0], [4, 0]),
    fields([4, large ? LARGE : 0], [4, large ? LARGE : 0], [2, text.length], [2, sizes.length + 4 + padding.length]),
    ...[text, sizes, fields([2, PADDING], [2, padding.length]), padding],
  ]);
}

function directoryEntry(name: string, size: number, crc: number, header: number): Buffer {
  const text = Buffer.from(name);
  const large = [...(size >= LARGE ? [size, size] : []), ...(header >= LARGE ? [header] : [])];
  const extra = large.length > 0 ? fields([2, ZIP64], [2, 8 * large.length], ...large.map(wide)) : Buffer.alloc(0);
  const version = large.length > 0 ? 45 : 20;
  const short = Math.min(size, LARGE);
  return Buffer.concat([
    fields([4, 0x02014b50], [2, version], [2, version], [2, FLAGS], [2, 0], [4, 0], [4, crc], [4, short], [4, short]),
    fields([2, text.length], [2, extra.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, Math.min(header, LARGE)]),
    ...[text, extra],
  ]);
}

function directoryEnd(count: number, size: number, start: number): Buffer {
  const end = fields(
    ...([
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, Math.min(count, 0xffff)],
      [2, Math.min(count, 0xffff)],
    ] as const),
    ...([
      [4, Math.min(size, LARGE)],
      [4, Math.min(start, LARGE)],
      [2, 0],
    ] as const),
  );
  if (count < 0xffff && size < LARGE && start < LARGE) return end;
  const record = [
    [4, 0x06064b50],
    [8, 44],
    [2, 45],
    [2, 45],
    [4, 0],
    [4, 0],
    ...[count, count, size, start].map(wide),
  ] as const;
  return Buffer.concat([fields(...record, [4, 0x07064b50], [4, 0], [8, start + size], [4, 1]), end]);
}

type Field = readonly [bytes: 2 | 4 | 8, value: number];

const wide = (value: number): Field => [8, value];

function fields(...all: readonly Field[]): Buffer {
  const bytes = Buffer.alloc(all.reduce((sum, [length]) => sum + length, 0));
  let at = 0;
  for (const [length, value] of all) {
    if (length === 8) bytes.writeBigUInt64LE(BigInt(value), at);
    else bytes.writeUIntLE(value, at, length);
    at += length;
  }
  return bytes;
}
