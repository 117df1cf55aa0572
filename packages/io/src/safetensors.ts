import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { assertChecksum, type Dtype, type Entry, frame, type Metadata, parseHeader, sealed } from './header.js';
import { bytesFrom, dtypeOf, partsOf, type Values, valuesOf } from './values.js';

/** Values with their shape, and the type that they have in a file. */
export interface Stored {
  readonly shape: readonly number[];
  readonly data: Values;
  /** Unless given, that of the array: `F32` for a `Float32Array` and so on, `U8` for a `Uint8Array`. */
  readonly dtype?: Dtype | undefined;
}

/** The contents of a safetensors file: named arrays, and text under text keys. */
export interface SafetensorsFile {
  readonly tensors: Readonly<Record<string, Stored>>;
  readonly metadata?: Metadata | undefined;
}

/**
 * The bytes of a safetensors file (https://github.com/huggingface/safetensors): the header's length in eight bytes,
 * little-endian; the header, JSON padded with spaces to a multiple of eight; the values, one array after the other. The
 * metadata begins with a checksum, `logsnr.sha256`: that of the whole file with zeros for the checksum's own digits.
 * @throws RangeError when a shape does not fit its values, or a type its array, or where the file could not be read.
 */
export function encodeSafetensors({ tensors, metadata = {} }: SafetensorsFile): Uint8Array {
  const parts = Object.entries(tensors).map(([name, { shape, data, dtype = dtypeOf(data) }]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (count * partsOf(dtype) !== data.length)
      throw new RangeError(`"${name}" has ${data.length} values; its shape [${shape.join(', ')}] needs ${count}.`);
    return { heading: { name, dtype, shape }, bytes: bytesFrom(dtype, data) };
  });
  const { header, length } = frame(
    parts.map(({ heading }) => heading),
    metadata,
  );
  const all = new Uint8Array(header.length + length);
  all.set(header);
  let at = header.length;
  for (const { bytes } of parts) {
    all.set(bytes, at);
    at += bytes.length;
  }
  all.set(sealed(header, bytesToHex(sha256(all))));
  return all;
}

/**
 * The contents of a safetensors file of any types. Everything in it is checked before it is used, and nothing in it is
 * run. F16, BF16 and F8 come as `Float32Array`, C64 as
 * one of twice the length, I64 and U64 as arrays of bigints. `file` names it in errors.
 * @returns `checked`: whether the file has a checksum, which then fits. Those of other tools have none.
 * @throws DamagedFile on anything that is not well formed, or was changed since it was written.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  file = 'the file',
): {
  readonly tensors: Readonly<Record<string, Required<Stored>>>;
  readonly metadata: Metadata;
  readonly checked: boolean;
} {
  const header = parseHeader(bytes, bytes.length, file);
  const { entries, metadata, dataStart, checksum } = header;
  if (checksum) {
    const hash = sha256.create().update(checksum.header).update(bytes.subarray(dataStart));
    assertChecksum(header, bytesToHex(hash.digest()), file);
  }
  const read = ({ dtype, shape, start, end }: Entry): Required<Stored> => {
    // A copy: values may lie anywhere in `bytes`, and typed arrays want them aligned.
    const own = new Uint8Array(bytes.slice(dataStart + start, dataStart + end));
    return { shape, data: valuesOf(dtype, own), dtype };
  };
  const tensors = Object.fromEntries(entries.map((entry) => [entry.name, read(entry)]));
  return { tensors, metadata, checked: checksum !== undefined };
}
