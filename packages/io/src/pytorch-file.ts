import { crc32 } from './crc.js';
import { DamagedFile } from './damaged-file.js';
import { type Reading, withFile } from './files.js';
import { bytesOf, type Metadata } from './header.js';
import { namedIn, type OpenTensors } from './open-tensors.js';
import { openLegacy } from './pytorch-legacy.js';
import { parseStateDict, type View } from './state-dict.js';
import { valuesOf } from './values.js';
import { openZip, type Stored, type StoredZip } from './zip.js';

/** A longer pickle is of no state dict; the tensors' values are not in it. */
const LONGEST = 2 ** 24;
/** How many times the file's length its tensors may take, and what they may take of a small file. */
const [SHARED, SMALL] = [4, 2 ** 24];

/**
 * Opens a file of `torch.save`, those of PyTorch before 1.6 too, hands its tensors to `body` and closes it. Its pickle is read by a parser that knows state
 * dicts alone: nothing in the file is run. One tensor at a time is in memory; one that is transposed or cut from a larger
 * one comes in the order of its shape.
 * @throws DamagedFile that names the file and what is wrong, or which class it needs and how to save it without.
 * @throws Error where it cannot be read.
 */
export const withPytorch = <R>(path: string, body: (file: OpenTensors) => Promise<R>): Promise<R> =>
  withFile(path, async (file) => body(await openPytorch(file, path)));

/** A file of `torch.save` that is open, its directory and its pickle checked. */
export async function openPytorch(file: Reading, path: string): Promise<OpenTensors> {
  const fail = (what: string): never => {
    throw new DamagedFile(`${path} cannot be read as a PyTorch checkpoint: ${what.slice(0, 1000)}.`);
  };
  const first = await file.read(0, Math.min(4, file.bytes));
  const most = Math.max(SHARED * file.bytes, SMALL);
  if (first[0] === 0x80) {
    const { place, ...state } = await openLegacy(file, { longest: LONGEST, most, fail });
    return opened(state, path, async (key, from, length) => {
      const { start = 0 } = place(key) ?? {};
      return file.read(start + from, length);
    });
  }
  const zip = await openZip(file, path);
  const read = async (entry: Stored, from = 0, length = entry.size) => {
    const bytes = await file.read((await zip.startOf(entry)) + from, length);
    // A file saved without checksums has zeros for them.
    if (length === entry.size && entry.crc !== 0 && crc32(bytes) !== entry.crc)
      fail(`"${entry.name}" was changed since it was written: its checksum does not fit`);
    return bytes;
  };
  const root = rootOf(zip, fail);
  for (const { name, compressed } of zip.entries.values())
    if (compressed) fail(`"${name}" is compressed; torch.save stores entries as they are`);
  const storage = (key: string) => zip.entries.get(`${root}/data/${key}`);
  const [order, pickle] = ['byteorder', 'data.pkl'].map((name) => zip.entries.get(`${root}/${name}`));
  if (order && (order.size !== 6 || new TextDecoder().decode(await read(order)) !== 'little'))
    fail('its numbers are big-endian. Save it on a little-endian machine, such as x86 or Arm');
  if (!pickle || pickle.size > LONGEST)
    return fail(`its pickle has ${pickle?.size} bytes; at most ${LONGEST} are read`);
  const state = parseStateDict(await read(pickle), (key) => storage(key)?.size, most, fail);
  return opened(state, path, async (key, from, length) => {
    const entry = storage(key);
    return entry ? read(entry, from, length) : new Uint8Array(0);
  });
}

/** The tensors of a state dict, by a function that reads part of a storage. */
function opened(
  { views, metadata }: { readonly views: readonly View[]; readonly metadata: Metadata },
  path: string,
  read: (key: string, from: number, length: number) => Promise<Uint8Array<ArrayBuffer>>,
): OpenTensors {
  const named = namedIn(views, path);
  const values = async ({ name }: { readonly name: string }) => {
    const view = named(name);
    const { dtype, key, offset, count } = view;
    if (count === 0) return valuesOf(dtype, new Uint8Array(0));
    const bytes = await read(key, offset * bytesOf[dtype], extentOf(view) * bytesOf[dtype]);
    return valuesOf(dtype, isDense(view) ? bytes : gathered(bytes, view));
  };
  return { entries: views.map(({ name, dtype, shape }) => ({ name, dtype, shape })), metadata, values };
}

/** The folder of the archive in which all of it is. */
function rootOf({ entries }: StoredZip, fail: (what: string) => never): string {
  const names = [...entries.keys()];
  const found = (pattern: RegExp) => names.filter((name) => pattern.test(name));
  if (found(/^[^/]+\/(?:constants\.pkl|code\/|model\.json)/).length > 0)
    fail('it is a TorchScript archive, which holds code. Save torch.jit.load(path).state_dict() with torch.save');
  const [pickle, ...more] = found(/^[^/]+\/data\.pkl$/);
  if (pickle === undefined) return fail('it is a zip file without data.pkl, which torch.save writes');
  if (more.length > 0) fail(`it has both ${pickle} and ${more[0]}`);
  return pickle.slice(0, pickle.indexOf('/'));
}

/** How many values lie between the first and the last of a tensor, both included. */
const extentOf = ({ shape, strides }: View): number =>
  shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 1);

/** Whether the values lie one after the other in the order of the shape. */
function isDense({ shape, strides }: View): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis] ?? 1;
  }
  return true;
}

/** The values of a tensor in the order of its shape. */
function gathered(bytes: Uint8Array, { dtype, shape, strides, count }: View): Uint8Array<ArrayBuffer> {
  const size = bytesOf[dtype];
  const values = new Uint8Array(count * size);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < values.length; ) {
    for (let byte = 0; byte < size; byte++) values[to++] = bytes[from + byte] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [step, length, at] = [size * (strides[axis] ?? 0), shape[axis] ?? 1, (index[axis] ?? 0) + 1];
      from += step;
      index[axis] = at % length;
      if (at < length) break;
      from -= step * length;
    }
  }
  return values;
}
