import { Entry, fromRandomAccessReaderPromise, getFileNameLowLevel, RandomAccessReader, type ZipFile } from 'yauzl';
import { DamagedFile } from './damaged-file.js';
import { codeOf, type Reading } from './files.js';

/** An entry of a zip file: bytes that lie in the file as they are, unless it is compressed. */
export interface Stored {
  readonly name: string;
  /** Bytes in the file. */
  readonly size: number;
  /** Whether they are deflated. */
  readonly compressed: boolean;
  /** How many bytes they are, unpacked. */
  readonly unpacked: number;
  readonly crc: number;
  /** Where its own header begins. */
  readonly header: number;
  /** Where the next entry begins, or the file ends. */
  readonly limit: number;
}

/** A zip file whose entries are read by their places. */
export interface StoredZip {
  readonly entries: ReadonlyMap<string, Stored>;
  /** Where an entry's bytes begin; its own header must say what the directory says. */
  startOf(entry: Stored): Promise<number>;
}

/** More entries, and longer names, are of no file of arrays. */
const [MOST, LONGEST] = [2 ** 16 + 2 ** 10, 1000];
/** Bytes of an entry's header before its name. */
const LOCAL = 30;
/** Bits of the flags: encrypted; the sizes come after the data. */
const [ENCRYPTED, AFTER] = [1, 8];
const DEFLATED = 8;

/**
 * The directory of a zip file, entry by entry: names that occur once and stay within the archive, nothing encrypted, no
 * overlaps, all within the file. No data is read.
 * @throws DamagedFile that names the file and what is wrong.
 */
export async function openZip(file: Reading, path: string): Promise<StoredZip> {
  const fail = (what: string): never => {
    throw new DamagedFile(`${path} is no valid zip file: ${what.slice(0, 500)}.`);
  };
  const inWords = (error: unknown): never => {
    if (error instanceof DamagedFile || codeOf(error) !== undefined || !(error instanceof Error)) throw error;
    return fail(error.message);
  };
  const window = new Window(file, path);
  const options = { autoClose: false, strictFileNames: true };
  const zip = await fromRandomAccessReaderPromise(window, file.bytes, options).catch(inWords);
  const entries = await directoryOf(zip, file.bytes, fail).catch(inWords);
  window.step = 2 ** 9;
  const startOf = async ({ name, size, unpacked, compressed, crc, header, limit }: Stored): Promise<number> => {
    const entry = Object.assign(new Entry(), { relativeOffsetOfLocalHeader: header, compressedSize: size });
    const local = await zip.readLocalFileHeaderPromise(entry).catch(inWords);
    const { generalPurposeBitFlag: flags, compressedSize, uncompressedSize, fileDataStart: start } = local;
    const own = getFileNameLowLevel(flags, local.fileName, [], true);
    if (own !== name) fail(`the directory's "${name}" calls itself "${own}"`);
    if (flags & ENCRYPTED || local.compressionMethod !== (compressed ? DEFLATED : 0))
      fail(`"${name}" is stored in another way than the directory says`);
    const sizes = [
      [compressedSize, size],
      [uncompressedSize, unpacked],
    ] as const;
    const differs = sizes.some(([own, said]) => own !== said && own !== 0xffffffff);
    if (!(flags & AFTER) && (differs || local.crc32 !== crc)) fail(`"${name}" has another size or checksum of its own`);
    if (start + size > limit) fail(`"${name}" reaches into what follows it`);
    return start;
  };
  return { entries, startOf };
}

async function directoryOf(zip: ZipFile, bytes: number, fail: (what: string) => never): Promise<Map<string, Stored>> {
  if (zip.entryCount > MOST) fail(`it has ${zip.entryCount} entries; files of arrays have at most ${MOST}`);
  const entries: (Stored & { limit: number; end: number })[] = [];
  for await (const entry of zip.eachEntry()) {
    const { fileName: name, compressedSize: size, uncompressedSize: unpacked } = entry;
    const { crc32: crc, relativeOffsetOfLocalHeader: header } = entry;
    if (name.length > LONGEST) fail(`it has a name of ${name.length} letters`);
    if (entry.isEncrypted()) fail(`"${name}" is encrypted`);
    const compressed = entry.compressionMethod !== 0;
    if (compressed && entry.compressionMethod !== DEFLATED)
      fail(`"${name}" is packed by method ${entry.compressionMethod}; stored and deflated entries are read`);
    if (!compressed && unpacked !== size) fail(`"${name}" has ${size} bytes and claims ${unpacked}`);
    const end = header + LOCAL + entry.fileNameLength + size;
    if (end > bytes) fail(`"${name}" ends at byte ${end}, but the file has ${bytes}`);
    entries.push({ name, size, compressed, unpacked, crc, header, limit: bytes, end });
  }
  entries.sort((a, b) => a.header - b.header);
  for (const [i, entry] of entries.entries()) {
    entry.limit = entries[i + 1]?.header ?? bytes;
    if (entry.end > entry.limit) fail(`"${entry.name}" and "${entries[i + 1]?.name}" overlap`);
  }
  const named = new Map(entries.map((entry) => [entry.name, entry]));
  if (named.size < entries.length) {
    const twice = entries.find((entry) => named.get(entry.name) !== entry);
    fail(`it has "${twice?.name}" twice`);
  }
  return named;
}

/** What yauzl reads, a few bytes at a time, from a piece of the file that is in memory. */
class Window extends RandomAccessReader {
  /** Bytes that are read at once. */
  step = 2 ** 16;
  #start = 0;
  #bytes = new Uint8Array(0);

  constructor(
    private readonly file: Reading,
    private readonly path: string,
  ) {
    super();
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, done: (error: Error | null) => void) {
    const give = () => {
      const from = position - this.#start;
      buffer.set(this.#bytes.subarray(from, from + length), offset);
    };
    if (position >= this.#start && position + length <= this.#start + this.#bytes.length) {
      give();
      done(null);
      return;
    }
    const { bytes } = this.file;
    if (position + length > bytes) {
      done(new DamagedFile(`${this.path} has ${bytes} bytes, but refers to byte ${position + length}; it is cut off.`));
      return;
    }
    this.file.read(position, Math.min(Math.max(length, this.step), bytes - position)).then((read) => {
      [this.#start, this.#bytes] = [position, read];
      give();
      done(null);
    }, done);
  }
}
