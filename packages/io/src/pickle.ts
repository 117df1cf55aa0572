/** What a pickle holds: Python's values, and what `Makers` make. A tuple and a list are an array. */
export type Pickled = null | boolean | number | bigint | string | Pickled[] | Dict | Global | Made;

/** Something of another class. */
export abstract class Made {
  abstract readonly what: string;
}

/** A dict or an OrderedDict: key, value, key, value … */
export class Dict {
  // Hostile files have a million empty ones.
  flat: Pickled[] | null = null;
}

/** A class or function by its full name. It is a name and nothing more: nothing is looked up. */
export class Global {
  constructor(readonly name: string) {}
}

/** What is made of what a pickle names. They throw on what they do not know. */
export interface Makers {
  global(name: string): Global;
  call(name: string, args: readonly Pickled[]): Pickled;
  persistent(id: Pickled): Pickled;
}

// npm's pickleparser has no bounds, goes on where a value is missing, and makes a class of every name.

type Fail = (what: string) => never;

/** More operations and longer texts are of no state dict. Each operation takes memory. */
const [MOST, LONGEST] = [3 * 2 ** 18, 2 ** 20];

/** Whether nothing may come after the pickle, which is so unless said. */
export interface Alone {
  readonly alone?: boolean;
}

/**
 * The value of a pickle (Python's pickletools.py) of protocol 2 to 5, from the operations that state dicts need. All
 * others are refused, and nothing is run: a call is a value that `makers` make, or an error.
 * @returns it, and how many bytes the pickle takes.
 */
export function unpickle(
  bytes: Uint8Array,
  makers: Makers,
  fail: Fail,
  { alone = true }: Alone = {},
): { readonly value: Pickled; readonly length: number } {
  const { step, result } = machineOf(bytes, makers, fail);
  for (let count = 0; count < MOST; count++) if (!step()) return result(alone);
  return fail(`its pickle takes over ${MOST} operations`);
}

function machineOf(bytes: Uint8Array, makers: Makers, fail: Fail) {
  const { whole, long, float, text, line, left } = readerOf(bytes, fail);
  const stack: Pickled[] = [];
  /** Where in the stack the marks are. */
  const marks: number[] = [];
  const memo = new Map<number, Pickled>();

  const missing = () => fail('its pickle takes more values than it has');
  const last = (count: number): Pickled[] =>
    stack.length - count < (marks.at(-1) ?? 0) ? missing() : stack.splice(stack.length - count);
  const marked = (): Pickled[] => {
    const mark = marks.pop();
    return mark === undefined ? missing() : stack.splice(mark);
  };
  const top = (): Pickled => {
    const value = stack.length > (marks.at(-1) ?? 0) ? stack.at(-1) : undefined;
    return value === undefined ? missing() : value;
  };
  const append = (values: readonly Pickled[]): undefined => {
    const list = top();
    if (!Array.isArray(list)) return fail('its pickle appends to what is no list');
    for (const value of values) list.push(value);
  };
  const set = (pairs: readonly Pickled[]): undefined => {
    const dict = top();
    if (!(dict instanceof Dict) || pairs.length % 2 === 1) return fail('its pickle sets what is no dict');
    dict.flat ??= [];
    for (const value of pairs) dict.flat.push(value);
  };
  const remember = (index: number) => void memo.set(index, top());
  const recall = (index: number) => {
    const value = memo.get(index);
    return value === undefined ? fail(`its pickle recalls value ${index}, which it has not kept`) : value;
  };
  const named = ([module, name]: readonly Pickled[]) =>
    typeof module === 'string' && typeof name === 'string'
      ? makers.global(`${module}.${name}`)
      : fail('its pickle names a class by what is no text');
  const called = ([callee, args]: readonly Pickled[]) =>
    callee instanceof Global && Array.isArray(args)
      ? makers.call(callee.name, args)
      : fail('its pickle calls what is no function');
  const build = ([state]: readonly Pickled[]): undefined => {
    // The attributes of an OrderedDict, such as PyTorch's `_metadata`, are left out.
    if (!(top() instanceof Dict && state instanceof Dict)) fail('its pickle builds what is no OrderedDict');
  };
  const protocol = (version: number): undefined => {
    if (version < 2 || version > 5)
      fail(`its pickle is of protocol ${version}; 2 to 5 are read, and torch.save writes 2`);
  };

  // By their codes, as characters. What an operation returns is put on the stack.
  const operations: Readonly<Record<string, () => Pickled | undefined>> = {
    '\x80': () => protocol(whole(1)),
    '\x95': () => void whole(8),
    '(': () => void marks.push(stack.length),
    N: () => null,
    '\x88': () => true,
    '\x89': () => false,
    K: () => whole(1),
    M: () => whole(2),
    J: () => whole(4) | 0,
    '\x8a': () => long(whole(1)),
    '\x8b': () => long(whole(4)),
    G: float,
    X: () => text(whole(4)),
    '\x8c': () => text(whole(1)),
    '\x8d': () => text(whole(8)),
    ')': () => [],
    t: marked,
    '\x85': () => last(1),
    '\x86': () => last(2),
    '\x87': () => last(3),
    ']': () => [],
    a: () => append(last(1)),
    e: () => append(marked()),
    '}': () => new Dict(),
    s: () => set(last(2)),
    u: () => set(marked()),
    h: () => recall(whole(1)),
    j: () => recall(whole(4)),
    q: () => remember(whole(1)),
    r: () => remember(whole(4)),
    '\x94': () => remember(memo.size),
    c: () => makers.global(`${line()}.${line()}`),
    '\x93': () => named(last(2)),
    R: () => called(last(2)),
    b: () => build(last(1)),
    Q: () => makers.persistent(last(1)[0] ?? null),
  };
  return {
    /** One operation. @returns whether there are more. */
    step(): boolean {
      const code = whole(1);
      if (code === STOP) return false;
      const operation = operations[String.fromCharCode(code)];
      if (!operation) return fail(`its pickle has the operation 0x${code.toString(16)}, which no state dict needs`);
      const made = operation();
      if (made !== undefined) stack.push(made);
      return true;
    },
    result(alone: boolean) {
      if (alone && left() > 0) fail(`its pickle ends ${left()} bytes too early`);
      if (stack.length !== 1) fail('its pickle ends with other than one value');
      return { value: top(), length: bytes.length - left() };
    },
  };
}

/** Reads a pickle's arguments, one after the other. */
function readerOf(bytes: Uint8Array, fail: Fail) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (length: number): number => {
    if (at + length > bytes.length) fail('its pickle is cut off');
    at += length;
    return at - length;
  };
  const text = (length: number): string => {
    if (length > LONGEST) fail(`its pickle has a text of ${length} bytes; at most ${LONGEST} are read`);
    const start = take(length);
    try {
      return UTF8.decode(bytes.subarray(start, start + length));
    } catch {
      return fail('its pickle has a text that is not UTF-8');
    }
  };
  return {
    text,
    left: () => bytes.length - at,
    float: () => view.getFloat64(take(8), false),
    whole(length: 1 | 2 | 4 | 8): number {
      const start = take(length);
      if (length === 1) return view.getUint8(start);
      if (length === 2) return view.getUint16(start, true);
      return length === 4 ? view.getUint32(start, true) : Number(view.getBigUint64(start, true));
    },
    /** An integer of that many bytes, in two's complement: a number where that is exact. */
    long(length: number): number | bigint {
      if (length > 16) fail(`its pickle has an integer of ${length} bytes; at most 16 are read`);
      const start = take(length);
      const wide = new BigInt64Array(2).fill(length > 0 && view.getInt8(start + length - 1) < 0 ? -1n : 0n);
      new Uint8Array(wide.buffer).set(bytes.subarray(start, start + length));
      const [low = 0n, high = 0n] = wide;
      const value = (high << 64n) | BigInt.asUintN(64, low);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    },
    /** The text up to the end of the line. */
    line(): string {
      const end = bytes.subarray(at, at + 1000).indexOf(10);
      if (end < 0) fail('its pickle names a class by more than 1000 letters');
      const found = text(end);
      take(1);
      return found;
    },
  };
}

const STOP = 0x2e;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
