import { dataOf, type Entry, frame, type Metadata, parseHeader } from './safetensors-header.js';

/** Values that safetensors files of this package hold, with their shape. */
export interface Array32 {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** The contents of a safetensors file: named arrays, and text under text keys. */
export interface SafetensorsFile {
  readonly tensors: Readonly<Record<string, Array32>>;
  readonly metadata: Metadata;
}

/**
 * The bytes of a safetensors file (https://github.com/huggingface/safetensors): the header's length in eight bytes,
 * little-endian; the header, JSON padded with spaces to a multiple of eight; the values, one array after the other.
 * @throws RangeError when a shape does not fit its values.
 */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array {
  const entries = Object.entries(tensors).map(([name, { shape, data }]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (count !== data.length)
      throw new RangeError(`"${name}" has ${data.length} values; its shape [${shape.join(', ')}] needs ${count}.`);
    return { name, dtype: data instanceof Int32Array ? 'int32' : 'float32', shape } as const;
  });
  const { header, length } = frame(entries, metadata);
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let at = header.length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * The contents of a safetensors file of float32 and int32 arrays. Everything in it is checked before it is used, and
 * nothing in it is run. `file` names it in errors.
 * @throws RangeError on anything that is not well formed: see `parseHeader`.
 */
export function decodeSafetensors(bytes: Uint8Array, file = 'the file'): SafetensorsFile {
  const { entries, metadata, dataStart } = parseHeader(bytes, bytes.length, file);
  const read = (entry: Entry): Array32 => {
    // A copy: values may lie anywhere in `bytes`, and typed arrays want them aligned.
    const own = bytes.slice(dataStart + entry.start, dataStart + entry.end);
    return { shape: entry.shape, data: dataOf(entry, own) };
  };
  return { tensors: Object.fromEntries(entries.map((entry) => [entry.name, read(entry)])), metadata };
}
