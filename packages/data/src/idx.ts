/** An array as an IDX file holds it: its shape and its bytes, row-major. */
export interface Idx {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Reads an IDX file of unsigned bytes, the format of MNIST: two zero bytes, the element type (0x08), the number of
 * dimensions, each dimension as a big-endian uint32, then the elements. `data` shares the memory of `bytes`.
 * @param dimensions how many dimensions the array must have.
 * @throws Error that names the file by `name`: not IDX, another type or number of dimensions, too short or too long.
 */
export function parseIdx(bytes: Uint8Array, dimensions: number, name: string): Idx {
  const header = 4 + 4 * dimensions;
  if (bytes.length < 4)
    throw new Error(`${name} is cut short: it has ${bytes.length} bytes, fewer than an IDX header.`);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw new Error(`${name} is compressed with gzip; unpack it first.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (magic !== 0x0800 + dimensions)
    throw new Error(
      `${name} begins with 0x${hex(magic)}; an IDX file of bytes in ${dimensions} dimensions begins with 0x${hex(0x0800 + dimensions)}.`,
    );
  if (bytes.length < header)
    throw new Error(`${name} is cut short: its header ends after ${bytes.length} of ${header} bytes.`);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== header + size) {
    const fault = bytes.length < header + size ? 'is cut short' : 'has trailing bytes';
    throw new Error(
      `${name} ${fault}: its shape [${shape.join(', ')}] needs ${header + size} bytes, it has ${bytes.length}.`,
    );
  }
  // A plain Uint8Array even where `bytes` is a Buffer, whose `slice` shares memory.
  return { shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + header, size) };
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** The bytes of an IDX file of unsigned bytes. */
export function encodeIdx({ shape, data }: Idx): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0800 + shape.length);
  shape.forEach((length, i) => {
    view.setUint32(4 + 4 * i, length);
  });
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}
