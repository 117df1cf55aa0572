import { crc32 } from './crc.js';
import type { Pieces } from './durable.js';
import { bytesOf, type Heading } from './header.js';
import { NAMED, parseStateDict, REBUILD, STORAGES, UNTYPED } from './state-dict.js';
import { type Storing, zipPieces } from './zip-pieces.js';

/** The folder within the archive. */
const ROOT = 'archive';

/**
 * The pieces of a file that `torch.load(path, weights_only=True)` reads, for `writeSynced` and `replaceFile`: a dict of
 * tensors in the order of `headings`, each contiguous in a storage of its own. `data` gives the bytes of each tensor, one
 * after the other, in pieces of any length.
 * @throws RangeError, before the first piece, on whatever could not be read; and where `data` does not fit the shapes.
 */
export async function* pytorchPieces(headings: readonly Heading[], data: AsyncIterable<Uint8Array>): Pieces {
  const sizes = headings.map(({ dtype, shape }) => bytesOf[dtype] * countOf(shape));
  const pickle = pickleOf(headings);
  const refuse = (what: string): never => {
    throw new RangeError(`these tensors cannot be a PyTorch checkpoint: ${what}.`);
  };
  parseStateDict(pickle, (key) => sizes[Number(key)], Number.POSITIVE_INFINITY, refuse);
  const taker = takerOf(data);
  const text = (name: string, content: string | Uint8Array): Storing => {
    const bytes = Buffer.from(content);
    return {
      name: `${ROOT}/${name}`,
      size: bytes.length,
      async *bytes() {
        yield bytes;
      },
    };
  };
  // What torch.save makes of names and checksums; here of names and shapes, which are known first.
  const id = String(crc32(pickle)).padStart(40, '0');
  try {
    yield* zipPieces([
      ...[text('data.pkl', pickle), text('.format_version', '1'), text('.storage_alignment', '64')],
      text('byteorder', 'little'),
      ...sizes.map((size, i) => ({ name: `${ROOT}/data/${i}`, size, bytes: () => taker.take(size) })),
      ...[text('version', '3\n'), text('.data/serialization_id', id)],
    ]);
    if ((await taker.more()) > 0) throw new RangeError('the tensors have more bytes than their shapes need.');
  } finally {
    await taker.close();
  }
  return undefined;
}

const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Cuts bytes that come in pieces of any length. */
function takerOf(data: AsyncIterable<Uint8Array>) {
  const source = data[Symbol.asyncIterator]();
  let rest = new Uint8Array(0);
  /** The next bytes, where there are any. */
  const more = async (): Promise<number> => {
    while (rest.length === 0) {
      const { done, value } = await source.next();
      if (done) return 0;
      // Others may write to what was given, such as a tensor's own memory, while the disk is waited for.
      rest = value.slice();
    }
    return rest.length;
  };
  return {
    more,
    close: () => source.return?.(),
    async *take(length: number) {
      for (let left = length; left > 0; ) {
        if ((await more()) === 0) throw new RangeError(`the tensors have ${left} bytes less than their shapes need.`);
        const piece = rest.subarray(0, left);
        rest = rest.subarray(piece.length);
        left -= piece.length;
        yield piece;
      }
    },
  };
}

/** `{name: tensor, …}` as torch.save pickles it, in protocol 2, without a memo. */
function pickleOf(headings: readonly Heading[]): Buffer {
  const tensors = headings.map(({ name, dtype, shape }, i) => {
    const strides = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
    const [storage] = Object.entries(STORAGES).find(([, known]) => known === dtype) ?? [];
    const [type] = Object.entries(NAMED).find(([, known]) => known === dtype) ?? [];
    const count = countOf(shape) * (storage ? 1 : bytesOf[dtype]);
    const reference = ['(', text('storage'), global(storage ? `torch.${storage}` : UNTYPED), text(`${i}`), text('cpu')];
    return [
      ...[text(name), global(`${REBUILD}${storage ? 2 : 3}`), '(', ...reference, whole(count), 'tQ', whole(0)],
      ...['(', ...shape.map(whole), 't(', ...strides.map(whole), 't\x89', global('collections.OrderedDict'), ')R'],
      ...[type ? global(`torch.${type}`) : '', 'tR'],
    ];
  });
  return Buffer.from(['\x80\x02}(', ...tensors.flat(), 'u.'].join(''), 'latin1');
}

// Each is the bytes of an operation, as the characters of those codes.
const global = (name: string): string => `c${name.replace(/\.(?=[^.]*$)/, '\n')}\n`;

const text = (value: string): string => {
  const bytes = Buffer.from(value);
  return `X${word(bytes.length)}${bytes.toString('latin1')}`;
};

const whole = (value: number): string => {
  if (value < 2 ** 31) return `J${word(value >>> 0)}`;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return `\x8a\x08${bytes.toString('latin1')}`;
};

const word = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('latin1');
};
