import type { Reading } from './files.js';
import { Dict, type Makers, type Pickled, unpickle } from './pickle.js';
import { parseStateDict, type View } from './state-dict.js';

/** Where a storage's values lie in the file. */
export interface Place {
  readonly start: number;
  readonly bytes: number;
}

export interface Legacy {
  readonly views: readonly View[];
  readonly metadata: Readonly<Record<string, string>>;
  place(key: string): Place | undefined;
}

/** What begins a file of torch.save before PyTorch 1.6, and the version of its layout. */
const [MAGIC, VERSION] = [0x1950a86a20f9469cfc6cn, 1001];

/**
 * A file of torch.save before PyTorch 1.6 (torch/serialization.py, `_legacy_save`): five pickles one after the other, which are a
 * magic number, a version, what machine wrote it, the state dict, and the names of its storages. The storages follow in that
 * order, each its number of values in 64 bits and the values.
 * @param longest the bytes of all pickles at most.
 * @param most the bytes that all tensors may take together.
 */
export async function openLegacy(
  file: Reading,
  { longest, most, fail }: { longest: number; most: number; fail: (what: string) => never },
): Promise<Legacy> {
  const bytes = await file.read(0, Math.min(longest, file.bytes));
  let at = 0;
  const next = (makers: Makers): Pickled => {
    const { value, length } = unpickle(bytes.subarray(at), makers, fail, { alone: false });
    at += length;
    return value;
  };
  const plain: Makers = {
    global: (name) => fail(`its pickle names ${name.slice(0, 200)} before the state dict`),
    call: (name) => fail(`its pickle calls ${name.slice(0, 200)} before the state dict`),
    persistent: () => fail('its pickle has a reference before the state dict'),
  };
  if (next(plain) !== MAGIC)
    fail('it is a bare pickle, not of torch.save. Save it anew: torch.save(model.state_dict(), path)');
  const version = next(plain);
  if (version !== VERSION) fail(`it is of version ${version}; ${VERSION} is read`);
  const system = next(plain);
  const flat = system instanceof Dict ? (system.flat ?? []) : [];
  if (flat[flat.indexOf('little_endian') + 1] !== true)
    fail('its numbers are big-endian. Save it on a little-endian machine, such as x86 or Arm');
  /** What the state dict says of each storage. */
  const needed = new Map<string, { count: number; bytes: number }>();
  const sizeOf = (key: string, bytes: number, count: number) => {
    const before = needed.get(key);
    if (!before) needed.set(key, { count, bytes });
    return before?.bytes ?? bytes;
  };
  const { length, ...state } = parseStateDict(bytes.subarray(at), sizeOf, most, fail, { alone: false });
  at += length;
  const names = next(plain);
  if (!Array.isArray(names) || names.length !== needed.size) return fail('its storages are not those of its tensors');
  const places = new Map<string, Place>();
  for (const name of names) {
    const one = typeof name === 'string' ? needed.get(name) : undefined;
    if (!one || places.has(name as string)) return fail('its storages are not those of its tensors');
    if (at + COUNT + one.bytes > file.bytes) fail('it is cut off');
    const count = new DataView((await file.read(at, COUNT)).buffer).getBigUint64(0, true);
    if (count !== BigInt(one.count)) fail(`a storage has ${count} values where its tensors need ${one.count}`);
    places.set(name as string, { start: at + COUNT, bytes: one.bytes });
    at += COUNT + one.bytes;
  }
  if (at !== file.bytes) fail(`it has ${file.bytes - at} bytes more than its tensors need`);
  return { ...state, place: (key) => places.get(key) };
}

/** Bytes of a storage's number of values. */
const COUNT = 8;
