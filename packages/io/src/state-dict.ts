import { bytesOf, type Dtype, type Heading, type Metadata } from './header.js';
import { type Alone, Dict, Global, Made, type Makers, type Pickled, unpickle } from './pickle.js';

/** A tensor of a state dict: a window on a storage, which is an entry `data/KEY` of the file. */
export interface View extends Heading {
  readonly key: string;
  /** In values, not in bytes. */
  readonly offset: number;
  readonly strides: readonly number[];
  readonly count: number;
}

/** What torch.save calls the storages of each type. */
export const STORAGES = {
  ...{ DoubleStorage: 'F64', FloatStorage: 'F32', HalfStorage: 'F16', BFloat16Storage: 'BF16', LongStorage: 'I64' },
  ...{ IntStorage: 'I32', ShortStorage: 'I16', CharStorage: 'I8', ByteStorage: 'U8', BoolStorage: 'BOOL' },
  ...{ ComplexFloatStorage: 'C64' },
} as const satisfies Readonly<Record<string, Dtype>>;

/** Types that have no storage of their own: torch.save names them with each tensor. */
export const NAMED = {
  ...{ uint16: 'U16', uint32: 'U32', uint64: 'U64', float8_e4m3fn: 'F8_E4M3', float8_e5m2: 'F8_E5M2' },
  ...{ float8_e4m3fnuz: 'F8_E4M3FNUZ', float8_e5m2fnuz: 'F8_E5M2FNUZ', float8_e8m0fnu: 'F8_E8M0' },
} as const satisfies Readonly<Record<string, Dtype>>;

export const UNTYPED = 'torch.storage.UntypedStorage';
export const REBUILD = 'torch._utils._rebuild_tensor_v';
const PARAMETER = 'torch._utils._rebuild_parameter';

const dtypes = new Map<string, Dtype | undefined>([
  ...Object.entries(STORAGES).map(([name, dtype]) => [`torch.${name}`, dtype] as const),
  ...Object.entries(NAMED).map(([name, dtype]) => [`torch.${name}`, dtype] as const),
  [UNTYPED, undefined],
]);
const callable = new Set([
  ...['collections.OrderedDict', 'torch.Size', PARAMETER, `${PARAMETER}_with_state`],
  ...['torch._utils._rebuild_tensor', `${REBUILD}2`, `${REBUILD}3`],
]);

/** More tensors, dicts within dicts, and letters of all names together are of no network. */
const [TENSORS, DEEPEST, LETTERS] = [2 ** 16, 100, 2 ** 23];
/** Values that are visited, the same one by another way too: what a pickle holds as it stands has fewer. */
const VISITS = 3 * 2 ** 18;
/** Texts that are kept of what is no tensor. */
const NOTES = 2 ** 16;

const SAVE = 'Save the state dict alone: torch.save(model.state_dict(), path)';

class Storage extends Made {
  readonly what = 'a storage';
  constructor(
    readonly key: string,
    /** Undefined where it holds bytes of any type. */
    readonly dtype: Dtype | undefined,
    readonly bytes: number,
  ) {
    super();
  }
}

class Rebuilt extends Made {
  readonly what = 'a tensor';
  constructor(readonly view: Omit<View, 'name'>) {
    super();
  }
}

/**
 * The tensors of a pickled state dict. Those of dicts and lists within it have names joined by dots. What is no tensor
 * becomes metadata, where a dict has it under a name: text, and numbers, booleans and null as JSON writes them.
 * @param sizeOf the bytes of a storage in the file, where so many bytes and values are expected; undefined where there is none.
 * @param most the bytes that all tensors may take together.
 * @param fail throws with what is wrong.
 */
export function parseStateDict(
  pickle: Uint8Array,
  sizeOf: SizeOf,
  most: number,
  fail: (what: string) => never,
  alone: Alone = {},
): { readonly views: readonly View[]; readonly metadata: Metadata; readonly length: number } {
  const { value: root, length } = unpickle(pickle, makersOf(sizeOf, fail), fail, alone);
  const views = new Map<string, View>();
  const notes = new Map<string, string>();
  let [visits, letters, bytes] = [0, 0, 0];
  const visit = (value: Pickled, path: string, depth: number, named: boolean): void => {
    if (++visits > VISITS) fail(`it holds over ${VISITS} values`);
    if (depth > DEEPEST) fail(`"${path}" is more than ${DEEPEST} dicts deep`);
    if (value instanceof Dict && value.flat)
      for (let i = 0; i < value.flat.length; i += 2)
        visit(
          value.flat[i + 1] ?? null,
          joined(path, depth, keyOf(value.flat[i] ?? null, path, fail)),
          depth + 1,
          true,
        );
    else if (Array.isArray(value))
      for (let i = 0; i < value.length; i++) visit(value[i] ?? null, joined(path, depth, `${i}`), depth + 1, false);
    else keep(value, path, named);
  };
  const keep = (value: Pickled, path: string, named: boolean): void => {
    const isNote = named && (value === null || typeof value !== 'object') && notes.size < NOTES;
    if (!isNote && !(value instanceof Rebuilt)) return;
    letters += path.length;
    if (letters > LETTERS) fail(`its names take over ${LETTERS} letters`);
    if (!(value instanceof Rebuilt)) return void notes.set(path, `${value}`);
    const { view } = value;
    if (views.has(path)) fail(`it has two tensors "${path}"`);
    if (views.size >= TENSORS) fail(`it has over ${TENSORS} tensors`);
    bytes += view.count * bytesOf[view.dtype];
    if (bytes > most)
      fail(`its tensors take over ${most} bytes, many times the file's. Save clones: {k: v.clone() for k, v in …}`);
    views.set(path, { name: path, ...view });
  };
  visit(root, '', 0, false);
  return { views: [...views.values()], metadata: Object.fromEntries(notes), length };
}

type SizeOf = (key: string, bytes: number, count: number) => number | undefined;

const joined = (path: string, depth: number, key: string): string => (depth === 0 ? key : `${path}.${key}`);

function keyOf(key: Pickled, path: string, fail: (what: string) => never): string {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint') return `${key}`;
  return fail(`a key in "${path}" is neither a text nor a number. ${SAVE}`);
}

function makersOf(sizeOf: SizeOf, fail: (what: string) => never): Makers {
  const global = (name: string): Global => {
    if (callable.has(name) || dtypes.has(name)) return new Global(name);
    return fail(`its pickle names ${name.slice(0, 200)}, which is not run. ${adviceOf(name)}`);
  };
  const persistent = (id: Pickled): Storage => {
    const [kind, type, key, , count, window = null] = Array.isArray(id) ? id : [];
    if (window !== null) fail(`its pickle has a storage within another. ${SAVE}`);
    if (kind !== 'storage' || !(type instanceof Global) || !dtypes.has(type.name) || typeof key !== 'string')
      return fail('its pickle has a reference to other than a storage');
    const dtype = dtypes.get(type.name);
    const needed = wholeOf(count) * (dtype ? bytesOf[dtype] : 1);
    const bytes = sizeOf(key, needed, wholeOf(count));
    if (bytes === undefined) return fail(`the storage data/${key.slice(0, 200)} is missing`);
    if (needed !== bytes) fail(`the storage data/${key} has ${bytes} bytes where its ${count} values need ${needed}`);
    return new Storage(key, dtype, bytes);
  };
  const wholeOf = (value: Pickled | undefined): number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : fail(`a tensor has ${sayOf(value)} where a whole number of at least 0 is expected`);
  const wholesOf = (value: Pickled | undefined): number[] =>
    Array.isArray(value) && value.length <= 64 ? value.map(wholeOf) : fail('a tensor has no shape');
  const rebuild = (args: readonly Pickled[], named: Pickled | undefined): Rebuilt => {
    const [storage, first, sizes, steps] = args;
    const dtype = storage instanceof Storage ? (storage.dtype ?? dtypeOf(named)) : undefined;
    if (!(storage instanceof Storage) || !dtype) return fail('a tensor has no storage of a type that is read');
    const [offset, shape, strides] = [wholeOf(first), wholesOf(sizes), wholesOf(steps)];
    if (shape.length !== strides.length) fail(`a tensor has ${shape.length} sizes and ${strides.length} strides`);
    const count = shape.reduce((product, size) => product * size, 1);
    const end = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), offset + 1);
    const there = storage.bytes / bytesOf[dtype];
    if (!Number.isSafeInteger(count) || (count > 0 && end > there))
      fail(
        `a tensor of shape [${shape.join(', ')}] and strides [${strides.join(', ')}] from ${offset} on takes more than the ${there} values of its storage data/${storage.key}`,
      );
    return new Rebuilt({ dtype, shape, key: storage.key, offset, strides, count });
  };
  const call = (name: string, args: readonly Pickled[]): Pickled => {
    const [first] = args;
    if (name === 'collections.OrderedDict' && args.length === 0) return new Dict();
    if (name === 'torch.Size' && Array.isArray(first)) return first;
    if (name.startsWith(PARAMETER) && first instanceof Rebuilt) return first;
    if (name.startsWith('torch._utils._rebuild_tensor'))
      return rebuild(args, name === `${REBUILD}3` ? args[6] : undefined);
    return fail(`its pickle calls ${name}, which is not run. ${SAVE}`);
  };
  return { global, call, persistent };
}

const dtypeOf = (named: Pickled | undefined): Dtype | undefined =>
  named instanceof Global ? dtypes.get(named.name) : undefined;

const sayOf = (value: Pickled | undefined): string =>
  typeof value === 'object' || value === undefined ? 'something else' : `${value}`;

function adviceOf(name: string): string {
  if (/^torch\.\w*(?:Storage|\d)\w*$/.test(name))
    return `Save tensors of another type, such as tensor.float(). ${SAVE}`;
  if (/^torch\._utils\._rebuild/.test(name))
    return 'Save dense tensors, such as tensor.dequantize() or tensor.to_dense()';
  return SAVE;
}
