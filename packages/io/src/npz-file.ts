import { pipeline } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { crc32 } from './crc.js';
import { DamagedFile } from './damaged-file.js';
import type { Pieces } from './durable.js';
import { type Reading, withFile } from './files.js';
import { encodeNpy, NPY_HEADER, type NpyHeader, parseNpy, rowMajor } from './npy.js';
import { namedIn, type OpenTensors } from './open-tensors.js';
import type { Stored } from './safetensors.js';
import { type Values, valuesOf } from './values.js';
import { openZip, type Stored as Packed, type StoredZip } from './zip.js';
import { zipPieces } from './zip-pieces.js';

/** A file of `numpy.savez` that is open, and the headers of its arrays read. */
export interface OpenNpz extends OpenTensors {
  /**
   * The values of an array, `count` steps of its first axis at a time and at the end what is left, in one pass: an array
   * larger than memory will do. Its checksum is known to fit only at the end.
   */
  rows(entry: { readonly name: string }, count: number): AsyncGenerator<Values>;
}

/** An array in the file, its header read. */
interface Packaged extends NpyHeader {
  readonly name: string;
  readonly entry: Packed;
}

/**
 * Opens a file of `numpy.savez` or `savez_compressed`, hands it to `body` and closes it. An array that cannot be read, such as
 * one of Python objects, is not among the entries, and asking for it says why: nothing is unpickled.
 * @throws DamagedFile that names the file and what is wrong with it.
 * @throws Error where it cannot be read.
 */
export const withNpz = <R>(path: string, body: (file: OpenNpz) => Promise<R>): Promise<R> =>
  withFile(path, async (file) => body(await openNpz(file, path)));

async function openNpz(file: Reading, path: string): Promise<OpenNpz> {
  if ((await file.read(0, Math.min(1, file.bytes)))[0] === PICKLE)
    throw new DamagedFile(
      `${path} is a pickle, which could run code, so it is not read. Save its arrays anew with numpy.savez.`,
    );
  const zip = await openZip(file, path);
  const bytesIn = (entry: Packed) => unpacked(file, zip, entry, `${path}: "${entry.name}"`);
  const [arrays, refused] = [[] as Packaged[], new Map<string, unknown>()];
  for (const entry of zip.entries.values()) {
    const name = entry.name.replace(/\.npy$/, '');
    if (name === entry.name) throw new DamagedFile(`${path} is no npz file: it holds "${name}", which is no array.`);
    try {
      const beginning = await blocks(bytesIn(entry), 0, Math.min(NPY_HEADER, entry.unpacked)).next();
      const header = parseNpy(beginning.value ?? new Uint8Array(0), entry.unpacked, `${path}: "${entry.name}"`);
      arrays.push({ name, entry, ...header });
    } catch (error) {
      refused.set(name, error);
    }
  }
  const found = namedIn(arrays, path);
  const named = (name: string): Packaged => {
    if (refused.has(name)) throw refused.get(name);
    return found(name);
  };
  async function* rows({ name }: { readonly name: string }, count: number): AsyncGenerator<Values> {
    const { dtype, shape, fortran, dataStart, bytes, entry } = named(name);
    const first = shape[0] ?? 1;
    if (fortran && count < first && shape.filter((size) => size > 1).length > 1)
      throw new DamagedFile(
        `${path}: "${name}" is in Fortran's order, so it cannot be read in parts. Save np.ascontiguousarray of it.`,
      );
    for await (const block of blocks(bytesIn(entry), dataStart, (bytes / Math.max(1, first)) * count)) {
      const values = valuesOf(dtype, block);
      yield fortran ? rowMajor(values, shape) : values;
    }
  }
  const values = async (entry: { readonly name: string }): Promise<Values> => {
    const { dtype, shape } = named(entry.name);
    let all = valuesOf(dtype, new Uint8Array(0));
    for await (const values of rows(entry, shape[0] ?? 1)) all = values;
    return all;
  };
  return { entries: arrays.map(({ name, dtype, shape }) => ({ name, dtype, shape })), metadata: {}, values, rows };
}

const PICKLE = 0x80;
/** Deflate makes at most 1,032 bytes of one. */
const [RATIO, SMALL] = [1032, 2 ** 10];
const PIECE = 2 ** 20;

/** The bytes of an entry, unpacked; at the end its length and checksum must be what the directory says. */
async function* unpacked(file: Reading, zip: StoredZip, entry: Packed, where: string): AsyncGenerator<Uint8Array> {
  if (entry.compressed && entry.unpacked > RATIO * entry.size + SMALL)
    throw new DamagedFile(`${where} claims ${entry.unpacked} bytes in ${entry.size}; no such file is written.`);
  const start = await zip.startOf(entry);
  const stored = async function* () {
    for (let at = 0; at < entry.size; at += PIECE) yield await file.read(start + at, Math.min(PIECE, entry.size - at));
  };
  let [length, crc] = [0, 0];
  const count = (piece: Uint8Array) => {
    length += piece.length;
    crc = crc32(piece, crc);
    if (length > entry.unpacked)
      throw new DamagedFile(`${where} has more than the ${entry.unpacked} bytes that the file's directory says.`);
    return piece;
  };
  if (entry.compressed) {
    // An error of either end comes out where the other is read.
    const inflated = pipeline(stored, createInflateRaw(), () => {});
    try {
      for await (const piece of inflated) yield count(piece);
    } catch (error) {
      if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
        throw new DamagedFile(`${where} cannot be unpacked: ${error.message}.`);
      throw error;
    }
  } else for await (const piece of stored()) yield count(piece);
  if (length !== entry.unpacked || crc !== entry.crc)
    throw new DamagedFile(`${where} was changed since it was written: its length or checksum does not fit.`);
}

/** What comes after `skip` bytes in blocks of `size`, the last one shorter, each in memory of its own. */
async function* blocks(
  pieces: AsyncGenerator<Uint8Array>,
  skip: number,
  size: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  let [left, at] = [skip, 0];
  let block = new Uint8Array(0);
  for await (const piece of pieces) {
    let from = Math.min(left, piece.length);
    left -= from;
    while (from < piece.length) {
      if (at === 0) block = new Uint8Array(size);
      const part = piece.subarray(from, from + size - at);
      block.set(part, at);
      [at, from] = [at + part.length, from + part.length];
      if (at < size) continue;
      yield block;
      at = 0;
    }
  }
  if (at > 0) yield block.slice(0, at);
}

/** The pieces of a file of `numpy.savez` of these arrays, for `writeSynced` and `replaceFile`. */
export async function* npzPieces(arrays: Readonly<Record<string, Stored>>): Pieces {
  const entries = Object.entries(arrays).map(([name, array]) => {
    const bytes = encodeNpy(array);
    return {
      ...{ name: `${name}.npy`, size: bytes.length },
      async *bytes() {
        yield bytes;
      },
    };
  });
  yield* zipPieces(entries);
  return undefined;
}
