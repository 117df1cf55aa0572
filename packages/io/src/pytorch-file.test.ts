import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { crc32, crcOf } from './crc.js';
import { DamagedFile } from './damaged-file.js';
import { writeSynced } from './durable.js';
import type { Dtype, Heading } from './header.js';
import type { OpenTensors } from './open-tensors.js';
import { withPytorch } from './pytorch-file.js';
import { pytorchPieces } from './pytorch-pieces.js';
import { encodeSafetensors } from './safetensors.js';
import { withTensors } from './tensors-file.js';
import { bytesFrom, type Values } from './values.js';
import { type Storing, zipPieces } from './zip-pieces.js';

// Files of torch.save by parity/checkpoints.py, and what PyTorch reads from them.
const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const fixture = (name: string) => at(`packages/io/test/fixtures/${name}`);

type Shown = Record<string, { dtype: string; shape: number[]; values: (string | number)[] }>;

const dtypes: Readonly<Record<string, Dtype>> = {
  ...{ float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', float8_e4m3fn: 'F8_E4M3' },
  ...{ float8_e5m2: 'F8_E5M2', complex64: 'C64', bool: 'BOOL', int64: 'I64', int32: 'I32', int16: 'I16', int8: 'I8' },
  ...{ uint64: 'U64', uint32: 'U32', uint16: 'U16', uint8: 'U8' },
};
const inOurs = (shown: Shown) =>
  Object.fromEntries(
    Object.entries(shown).map(([name, { dtype, ...rest }]) => [name, { dtype: dtypes[dtype], ...rest }]),
  );

const read = async ({ entries, values }: OpenTensors) => {
  const found: [string, unknown][] = [];
  for (const { name, dtype, shape } of entries) {
    const data = await values({ name });
    const isFloat = data instanceof Float32Array || data instanceof Float64Array;
    found.push([name, { dtype, shape, values: isFloat ? [...data] : Array.from(data, String) }]);
  }
  return Object.fromEntries(found);
};
const all = (path: string) => withPytorch(path, read);

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-pytorch-'));
  path = join(folder, 'a.pt');
});
afterEach(() => rm(folder, { recursive: true }));

async function expectRefused(words: RegExp | string, from = path) {
  const error = await all(from).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DamagedFile);
  expect((error as Error).message).toMatch(words);
  expect((error as Error).message.startsWith(from)).toBe(true);
  expect((error as Error).message.length).toBeLessThan(1500);
}

const stored = (name: string, content: string | Uint8Array): Storing => {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  return {
    name,
    size: bytes.length,
    async *bytes() {
      yield bytes;
    },
  };
};
async function archive(...entries: Storing[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of zipPieces(entries)) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('what torch.save wrote', () => {
  test.each(['types', 'views', 'nested'])('%s comes as PyTorch reads it', async (name) => {
    const expected: Record<string, Shown> = JSON.parse(await readFile(fixture('expected.json'), 'utf8'));
    expect(await all(fixture(`${name}.pt`))).toEqual(inOurs(expected[name] ?? {}));
    if (name === 'views') expect(await all(fixture('protocol5.pt'))).toEqual(inOurs(expected.views ?? {}));
    if (name === 'nested') expect(await all(fixture('unchecked.pt'))).toEqual(inOurs(expected.nested ?? {}));
    // As PyTorch wrote them before 1.6.
    expect(await all(fixture(`legacy-${name}.pt`))).toEqual(inOurs(expected[name] ?? {}));
  });

  test('what is no tensor is text', async () => {
    const { metadata, entries } = await withPytorch(fixture('nested.pt'), async (file) => file);
    expect(metadata).toMatchObject({ epoch: '3', loss: '0.125', done: 'false', best: 'null' });
    expect(metadata).toMatchObject({ seed: '9223372036854775809', note: 'two\nlines, naïve' });
    expect(entries.slice(0, 3)).toEqual([
      { name: 'model.weight', dtype: 'F32', shape: [3, 2] },
      { name: 'model.bias', dtype: 'F32', shape: [3] },
      { name: 'ema.weight', dtype: 'F32', shape: [3, 2] },
    ]);
    expect(entries.map(({ name }) => name)).toEqual(expect.arrayContaining(['history.0', 'history.1.0']));
  });

  test('a lone tensor has the empty name, and a name that is not there is refused', async () => {
    expect(await all(fixture('tensor.pt'))).toEqual({ '': { dtype: 'F32', shape: [2], values: [-1, -0.75] } });
    const lost = withPytorch(fixture('tensor.pt'), ({ values }) => values({ name: 'w' }));
    await expect(lost).rejects.toThrow(/tensor\.pt has no tensor "w"\.$/);
  });

  test.each([
    ['script.pt', /TorchScript archive, which holds code\. Save torch\.jit\.load\(path\)\.state_dict\(\)/],
    ['complex128.pt', /torch\.ComplexDoubleStorage, which is not run\. Save tensors of another type/],
    ['quantized.pt', /torch\._utils\._rebuild_qtensor.* Save dense tensors/],
    ['sparse.pt', /torch\._utils\._rebuild_sparse_tensor.* Save dense tensors/],
    [
      'namespace.pt',
      /argparse\.Namespace, which is not run\. Save the state dict alone: torch\.save\(model\.state_dict/,
    ],
    ['module.pt', /torch\.nn\.modules\.linear\.Linear, which is not run\. Save the state dict alone/],
    ['bomb.pt', /"archive\/data\.pkl" is compressed; torch\.save stores entries as they are/],
  ])('%s is refused, and the words say what to do', async (name, words) => {
    await expectRefused(words, fixture(name));
  });
});

describe('a pickle that must not be run', async () => {
  const refused: [string, string, string][] = JSON.parse(await readFile(fixture('refused.json'), 'utf8'));
  test.each(refused)('%s is refused', async (_what, pickle, words) => {
    await writeFile(path, await archive(stored('a/data.pkl', Buffer.from(pickle, 'base64'))));
    await expectRefused(words);
  });

  test.each<[string, string, RegExp]>([
    ['nothing', '', /pickle is cut off/],
    ['no end', '\x80\x02N', /pickle is cut off/],
    ['no value', '\x80\x02.', /ends with other than one value/],
    ['two values', '\x80\x02NN.', /ends with other than one value/],
    ['more after its end', '\x80\x02N.N', /ends 1 bytes too early/],
    ['a protocol of the future', '\x80\x06N.', /protocol 6; 2 to 5 are read/],
    ['a million marks', `\x80\x02${'('.repeat(2 ** 20)}`, /over 786432 operations/],
    ['a million dicts', `\x80\x02${'}'.repeat(2 ** 20)}`, /over 786432 operations/],
    ['a text of 4 GiB', '\x80\x02X\xff\xff\xff\xff', /text of 4294967295 bytes; at most/],
    ['a text of 2^64 bytes', '\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff', /text of 18446744073709552000 bytes/],
    ['a text longer than the file', '\x80\x02X\xff\x00\x00\x00', /pickle is cut off/],
    ['a text that is not UTF-8', '\x80\x02X\x01\x00\x00\x00\xff.', /not UTF-8/],
    ['an integer of 4 GiB', '\x80\x02\x8b\xff\xff\xff\xff', /integer of 4294967295 bytes/],
    ['values below a mark', '\x80\x02N(\x85.', /takes more values than it has/],
    ['a tuple without a mark', '\x80\x02t.', /takes more values than it has/],
    ['a value recalled that was not kept', '\x80\x02h\x07.', /recalls value 7/],
    [
      'names of 11 MB',
      `\x80\x02}X\0\0\x10\0${'x'.repeat(2 ** 20)}}(${notes(11)}us.`,
      /names take over 8388608 letters/,
    ],
    ['a list appended to a number', '\x80\x02K\x01Na.', /appends to what is no list/],
    ['a dict with a key and no value', '\x80\x02}(Nu.', /sets what is no dict/],
    ['a call of a text', '\x80\x02X\x02\0\0\0os)R.', /calls what is no function/],
    ['a class named by numbers', '\x80\x04K\x01K\x02\x93.', /names a class by what is no text/],
    ['a class with a long name', `\x80\x02c${'x'.repeat(5000)}\ny\n.`, /by more than 1000 letters/],
    ['another’s attributes', '\x80\x02N}b.', /builds what is no OrderedDict/],
    ['an instance', '\x80\x02ccollections\nOrderedDict\n)\x81.', /operation 0x81/],
    ['a call of a storage’s class', '\x80\x02ctorch\nFloatStorage\n)R.', /calls torch\.FloatStorage, which is not run/],
    ['a reference to a module', '\x80\x02X\x06\0\0\0moduleQ.', /a reference to other than a storage/],
    ['a key that is a dict', '\x80\x02}}Ns.', /neither a text nor a number/],
  ])('%s is refused', async (_what, pickle, words) => {
    await writeFile(path, await archive(stored('a/data.pkl', pickle)));
    await expectRefused(words);
  });
});

/** Keys 0, 1, … and a number for each. */
function notes(count: number): string {
  return Array.from({ length: count }, (_, i) => `K${String.fromCharCode(i)}K\0`).join('');
}

/** A pickle of one tensor `w`, with any numbers, and its storage data/0 of 6 float32. */
const tensor = (numbers: { offset?: string; shape?: string; strides?: string; count?: string; key?: string } = {}) => {
  const { offset = 'K\0', shape = 'K\x02K\x03', strides = 'K\x03K\x01', count = 'K\x06', key = '0' } = numbers;
  const storage = `(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0${key}X\x03\0\0\0cpu${count}tQ`;
  const call = `ctorch._utils\n_rebuild_tensor_v2\n(${storage}${offset}(${shape}t(${strides}t\x89}tR`;
  return `X\x01\0\0\0w${call}`;
};
const values = stored('a/data/0', Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer));
const checkpoint = (tensors: string, ...more: Storing[]) =>
  archive(stored('a/data.pkl', `\x80\x02}(${tensors}u.`), values, ...more);
const HUGE = '\x8a\x08\0\0\0\0\0\0\0\x40';

describe('a tensor that its storage does not hold', () => {
  test('one that it holds is read', async () => {
    await writeFile(path, await checkpoint(tensor()));
    expect(await all(path)).toEqual({ w: { dtype: 'F32', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] } });
  });
  test.each<[string, Parameters<typeof tensor>[0], RegExp]>([
    ['past the end', { offset: 'K\x01' }, /from 1 on takes more than the 6 values of its storage data\/0/],
    ['far past the end', { offset: HUGE }, /4611686018427387904 where a whole number/],
    ['before the beginning', { offset: 'J\xff\xff\xff\xff' }, /has -1 where a whole number of at least 0/],
    ['of a negative size', { shape: 'J\xfe\xff\xff\xffK\x03' }, /has -2 where/],
    ['of negative strides', { strides: 'J\xfd\xff\xff\xffK\x01' }, /has -3 where/],
    ['of longer strides', { strides: 'K\x04K\x01' }, /strides \[4, 1\] .* takes more than/],
    ['of a size that is no integer', { shape: 'G\x3f\xf8\0\0\0\0\0\0K\x03' }, /has 1\.5 where/],
    ['of a size that is a text', { shape: 'X\x01\0\0\x002K\x03' }, /has 2 where/],
    ['of fewer strides than sizes', { strides: 'K\x01' }, /2 sizes and 1 strides/],
    ['of 65 axes', { shape: 'K\x01'.repeat(65), strides: 'K\x01'.repeat(65) }, /has no shape/],
    ['whose size overflows', { shape: HUGE.repeat(4), strides: 'K\0'.repeat(4) }, /where a whole number/],
    [
      'whose product overflows',
      { shape: 'J\xff\xff\xff\x7f'.repeat(4), strides: 'K\0'.repeat(4) },
      /takes more than the 6 values/,
    ],
    [
      'repeated without end',
      { shape: 'J\0\0\0\x01', strides: 'K\0' },
      /take over 16777216 bytes, many times the file's/,
    ],
    ['whose storage lies about its length', { count: 'K\x07' }, /data\/0 has 24 bytes where its 7 values need 28/],
    ['whose storage is missing', { key: '1' }, /the storage data\/1 is missing/],
    ['whose storage is a path', { key: '/' }, /the storage data\/\/ is missing/],
  ])('one %s is refused', async (_what, numbers, words) => {
    await writeFile(path, await checkpoint(tensor(numbers)));
    await expectRefused(words);
  });
  test('two of one name are refused', async () => {
    await writeFile(path, await checkpoint(tensor() + tensor()));
    await expectRefused(/two tensors "w"/);
  });
  test('70,000 that share one storage are refused', async () => {
    const one = tensor().replace('X\x01\0\0\0w', 'h\0');
    const shared = `\x80\x02](${tensor().slice(6)}q\0${'h\0'.repeat(70_000)}e.`;
    expect(one).toContain('h\0');
    await writeFile(path, await archive(stored('a/data.pkl', shared), values));
    await expectRefused(/over 65536 tensors/);
  });
});

describe('a zip file that is not one of torch.save', () => {
  const pickle = stored('a/data.pkl', '\x80\x02}.');
  test.each<[string, Storing[], RegExp]>([
    ['two entries of one name', [pickle, values, values], /it has "a\/data\/0" twice/],
    ['two pickles', [pickle, stored('b/data.pkl', 'N.')], /both a\/data\.pkl and b\/data\.pkl/],
    ['no pickle', [values], /zip file without data\.pkl/],
    ['a name of 2000 letters', [pickle, stored(`a/${'x'.repeat(2000)}`, '')], /has a name of 2002 letters/],
    ['a path upwards', [pickle, stored('a/../../x', '')], /invalid relative path: a\/\.\.\/\.\.\/x/],
    ['a path from the root', [pickle, stored('/etc/passwd', '')], /absolute path/],
    ['a path of Windows', [pickle, stored('a\\..\\x', '')], /invalid characters in fileName/],
    ['numbers in big-endian', [pickle, stored('a/byteorder', 'big')], /big-endian/],
    ['an order of no kind', [pickle, stored('a/byteorder', 'middle')], /big-endian/],
    ['a pickle of 17 MB', [stored('a/data.pkl', new Uint8Array(17e6))], /pickle has 17000000 bytes; at most/],
    ['code', [pickle, stored('a/code/__torch__.py', '')], /TorchScript archive/],
  ])('one with %s is refused', async (_what, entries, words) => {
    await writeFile(path, await archive(...entries));
    await expectRefused(words);
  });

  const LOCAL = Buffer.from('PK\x03\x04', 'latin1');
  const DIRECTORY = Buffer.from('PK\x01\x02', 'latin1');
  const END = Buffer.from('PK\x05\x06', 'latin1');
  /** Where the nth header of a kind begins. */
  const nth = (bytes: Buffer, what: Buffer, n: number) => {
    let from = -1;
    for (let i = 0; i <= n; i++) from = bytes.indexOf(what, from + 1);
    return from;
  };
  test.each<[string, (bytes: Buffer) => unknown, RegExp]>([
    [
      'an entry that calls itself otherwise',
      (b) => b.write('b', nth(b, LOCAL, 1) + 30),
      /"a\/data\/0" calls itself "b\/data\/0"/,
    ],
    [
      'an entry compressed by its own words',
      (b) => b.writeUInt16LE(8, nth(b, LOCAL, 1) + 8),
      /stored in another way than the directory says/,
    ],
    ['an entry compressed by the directory', (b) => b.writeUInt16LE(8, nth(b, DIRECTORY, 1) + 10), /is compressed/],
    ['an encrypted entry', (b) => b.writeUInt16LE(0x0801, nth(b, DIRECTORY, 1) + 8), /is encrypted|size mismatch/],
    [
      'an entry that reaches into the next',
      (b) => b.writeUInt16LE(100, nth(b, LOCAL, 0) + 28),
      /"a\/data\.pkl" reaches into what follows it/,
    ],
    ['an entry at another', (b) => b.writeUInt32LE(0, nth(b, DIRECTORY, 1) + 42), /overlap/],
    ['an entry past the end', (b) => b.writeUInt32LE(1e6, nth(b, DIRECTORY, 1) + 42), /ends at byte 1000/],
    [
      'an entry at no header',
      (b) => b.writeUInt32LE(nth(b, LOCAL, 1) + 1, nth(b, DIRECTORY, 1) + 42),
      /local file header/,
    ],
    [
      'an entry of 4 GB',
      (b) => [20, 24].map((field) => b.writeUInt32LE(4e9, nth(b, DIRECTORY, 1) + field)),
      /ends at byte 40000/,
    ],
    ['two lengths of an entry', (b) => b.writeUInt32LE(23, nth(b, DIRECTORY, 1) + 20), /size mismatch/],
    [
      'sizes of its own',
      (b) => [b.writeUInt16LE(0x0800, nth(b, LOCAL, 1) + 6), b.writeUInt32LE(7, nth(b, LOCAL, 1) + 18)],
      /another size or checksum of its own/,
    ],
    [
      'more entries than it has',
      (b) => b.writeUInt16LE(9, nth(b, END, 0) + 10),
      /central directory file header|cut off/,
    ],
    ['a directory past the end', (b) => b.writeUInt32LE(1e6, nth(b, END, 0) + 16), /refers to byte 10000/],
    ['a longer comment than it has', (b) => b.writeUInt16LE(7, nth(b, END, 0) + 20), /comment length/],
    ['a second disk', (b) => b.writeUInt16LE(1, nth(b, END, 0) + 4), /multi-disk/],
    [
      'a changed value',
      (b) => b.writeFloatLE(7, b.indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer))),
      /checksum does not fit/,
    ],
  ])('one with %s is refused', async (_what, spoil, words) => {
    const bytes = await checkpoint(tensor());
    spoil(bytes);
    await writeFile(path, bytes);
    await expectRefused(words);
  });

  test('one with 64-bit lengths that lie is refused', async () => {
    const end = Buffer.alloc(22);
    END.copy(end);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 'latin1');
    for (const [offset, count, words] of [
      [2n ** 63n, 1n, /refers to byte/],
      [0n, 2n ** 63n, /has 9223372036854776000 entries; files of arrays have at most 66560/],
    ] as const) {
      const record = Buffer.alloc(56);
      record.write('PK\x06\x06', 'latin1');
      record.writeBigUInt64LE(count, 32);
      locator.writeBigUInt64LE(offset, 8);
      await writeFile(path, Buffer.concat([record, locator, end]));
      await expectRefused(words);
    }
  });

  test('other files are refused', async () => {
    for (const bytes of ['', 'P', 'PK\x03\x04', 'PK'.repeat(5000), '\x80\x02N.', '{"a": 1}']) {
      await writeFile(path, bytes, 'latin1');
      await expectRefused(/valid zip file|bare pickle/);
    }
  });

  test.each(['views.pt', 'legacy-views.pt'])('%s cut off anywhere is refused', async (name) => {
    await copyFile(fixture(name), path);
    const { length } = await readFile(path);
    for (let left = length - 1; left >= 0; left--) {
      await truncate(path, left);
      expect(await all(path).catch((error: unknown) => error)).toBeInstanceOf(DamagedFile);
    }
  });

  const swapped = (bytes: Buffer, from: string, to: string) => {
    expect(bytes.toString('hex').split(from)).toHaveLength(2);
    return Buffer.from(bytes.toString('hex').replace(from, to), 'hex');
  };
  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['a pickle that is no file of torch.save', () => Buffer.from('80027d2e', 'hex'), /bare pickle, not of torch\.save/],
    ['another version', (bytes) => swapped(bytes, '024de9032e', '024dea032e'), /of version 1002; 1001 is read/],
    ['big-endian numbers', (bytes) => swapped(bytes, '710288', '710289'), /its numbers are big-endian/],
    [
      'other lengths',
      (bytes) => swapped(bytes, '2e0200000000000000', '2e0300000000000000'),
      /3 values where .* need 2/,
    ],
    ['no names of storages', (bytes) => swapped(bytes, '7101612e', '7101302e'), /0x30, which no state dict needs/],
    ['another storage', (bytes) => swapped(bytes, '36710161', '37710161'), /storages are not those of its tensors/],
    ['bytes after its end', (bytes) => Buffer.concat([bytes, Buffer.alloc(3)]), /3 bytes more than its tensors need/],
    ['a class at its beginning', () => Buffer.from('8002636f730a73797374656d0a2e', 'hex'), /os\.system before/],
  ])('%s in a file from before 1.6 is refused', async (_, change, words) => {
    await writeFile(path, change(await readFile(fixture('legacy.pt'))));
    await expectRefused(words);
  });

  test('a byte changed anywhere is noticed, or changes no value', async () => {
    const [bytes, whole] = [await readFile(fixture('tensor.pt')), await all(fixture('tensor.pt'))];
    await writeFile(path, bytes);
    const file = await open(path, 'r+');
    for (const [i, byte] of bytes.entries()) {
      await file.write(Uint8Array.of(byte ^ 0x55), 0, 1, i);
      const found = await all(path).catch((error: unknown) => error);
      if (!(found instanceof DamagedFile)) expect([i, found]).toEqual([i, whole]);
      await file.write(Uint8Array.of(byte), 0, 1, i);
    }
    await file.close();
  });
});

describe('a checkpoint that is written', () => {
  const tensors: [Dtype, Values][] = [
    ['F64', Float64Array.of(0.1, -2, 3, 4, 5, 6)],
    ['F32', Float32Array.of(0.5, -2, 3, 4, 5, 6)],
    ['F16', Float32Array.of(0.5, -2, 3, 4, 5, 6)],
    ['BF16', Float32Array.of(0.5, -2, 3, 4, 5, 6)],
    ['C64', Float32Array.of(0.5, -2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)],
    ['I64', BigInt64Array.of(-(2n ** 63n), 2n, 3n, 4n, 5n, 6n)],
    ['I32', Int32Array.of(-1, 2, 3, 4, 5, 6)],
    ['I16', Int16Array.of(-1, 2, 3, 4, 5, 6)],
    ['I8', Int8Array.of(-1, 2, 3, 4, 5, 6)],
    ['U64', BigUint64Array.of(2n ** 64n - 1n, 2n, 3n, 4n, 5n, 6n)],
    ['U32', Uint32Array.of(2 ** 32 - 1, 2, 3, 4, 5, 6)],
    ['U16', Uint16Array.of(65535, 2, 3, 4, 5, 6)],
    ['U8', Uint8Array.of(255, 2, 3, 4, 5, 6)],
    ['BOOL', Uint8Array.of(1, 0, 1, 0, 1, 1)],
  ];
  const headings: Heading[] = [
    ...tensors.map(([dtype]) => ({ name: `naïve.${dtype}`, dtype, shape: [2, 3] })),
    { name: 'empty', dtype: 'F32', shape: [0, 3] },
    { name: 'scalar', dtype: 'F32', shape: [] },
  ];
  const data = Buffer.concat([
    ...tensors.map(([dtype, values]) => bytesFrom(dtype, values)),
    bytesFrom('F32', Float32Array.of(7)),
  ]);
  async function* pieces(length: number) {
    for (let from = 0; from < data.length; from += length) yield data.subarray(from, from + length);
  }
  const expected = Object.fromEntries([
    ...tensors.map(([dtype, values]) => {
      const isFloat = values instanceof Float32Array || values instanceof Float64Array;
      return [`naïve.${dtype}`, { dtype, shape: [2, 3], values: isFloat ? [...values] : Array.from(values, String) }];
    }),
    ['empty', { dtype: 'F32', shape: [0, 3], values: [] }],
    ['scalar', { dtype: 'F32', shape: [], values: [7] }],
  ]);

  test('comes back, in whatever pieces its values came, and each storage begins at a multiple of 64 bytes', async () => {
    for (const length of [1, 7, 64, 1000]) {
      await writeSynced(path, pytorchPieces(headings, pieces(length)));
      expect(await all(path)).toEqual(expected);
      const bytes = await readFile(path);
      for (let from = bytes.indexOf('PK\x03\x04'); from >= 0; from = bytes.indexOf('PK\x03\x04', from + 1))
        expect((from + 30 + bytes.readUInt16LE(from + 26) + bytes.readUInt16LE(from + 28)) % 64).toBe(0);
      await rm(path);
    }
  });

  test.each<[string, Heading[], RegExp]>([
    ['two of one name', [headings[0], headings[0]] as Heading[], /two tensors "naïve\.F64"/],
    ['a negative size', [{ name: 'w', dtype: 'F32', shape: [-1] }], /has -1 where a whole number/],
    [
      'a size that overflows',
      [{ name: 'w', dtype: 'F32', shape: [2 ** 30, 2 ** 30] }],
      /has 1152921504606846976 where/,
    ],
    ['too few values', headings, /\d+ bytes less than their shapes need/],
    ['too many values', headings.slice(0, 3), /more bytes than their shapes need/],
  ])('with %s is refused, and leaves no file', async (_what, given, words) => {
    const short = (async function* () {
      yield data.subarray(0, data.length - 1);
    })();
    await expect(writeSynced(path, pytorchPieces(given, short))).rejects.toThrow(words);
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });

  test.skipIf(!process.env.LOGSNR_TORCH)('is what PyTorch reads', async () => {
    await writeSynced(path, pytorchPieces(headings, pieces(100)));
    const python = process.env.LOGSNR_TORCH ?? '';
    const { stdout } = await promisify(execFile)(python, [at('parity/checkpoints.py'), 'show', path]);
    expect(inOurs(JSON.parse(stdout))).toEqual(expected);
  });

  test('of more than 4 GiB is read at its places', async () => {
    const size = 2 ** 32 + 2 ** 20;
    const zeros = new Uint8Array(2 ** 22);
    const storage = (name: string): Storing => ({
      ...{ name, size },
      async *bytes() {
        for (let from = 0; from < size - 2 ** 20; from += zeros.length) yield zeros;
        yield Uint8Array.from({ length: 2 ** 20 }, (_, i) => i);
      },
    });
    // Bytes of a type of 8 bits, the last three of them.
    const long = (value: number) => `\x8a\x08${Buffer.from(BigInt64Array.of(BigInt(value)).buffer).toString('latin1')}`;
    const last = tensor({ count: long(size), offset: long(size - 3), shape: 'K\x03', strides: 'K\x01' });
    const pickle = (key: string) => last.replace('FloatStorage', 'ByteStorage').replace('\0\0\x000X', `\0\0\0${key}X`);
    const state = `\x80\x02}(${pickle('0')}${pickle('1').replace('w', 'v')}u.`;
    const entries = [storage('a/data/0'), storage('a/data/1'), stored('a/data.pkl', state)];
    const file = await open(path, 'w');
    let at = 0;
    // Zeros are not written: they take no disk. Nor are they summed.
    for await (const piece of zipPieces(entries, 64, () => 0)) {
      if (piece !== zeros) await file.write(piece, 0, piece.length, at);
      at += piece.length;
    }
    await file.close();
    const three = { dtype: 'U8', shape: [3], values: ['253', '254', '255'] };
    expect(await all(path)).toEqual({ w: three, v: three });
  });
});

test('a file of tensors is opened by what it is', async () => {
  const opened = (from: string) => withTensors(from, read);
  const w = { dtype: 'F32', shape: [2], values: [-1, -0.75] };
  expect(await opened(fixture('tensor.pt'))).toEqual({ '': w });
  await writeFile(path, encodeSafetensors({ tensors: { w: { shape: [2], data: Float32Array.of(-1, -0.75) } } }));
  expect(await opened(path)).toEqual({ w });
  // Its header's length is the bytes "PK".
  const header = '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'.padEnd(0x4b50);
  const data = Buffer.from(Float32Array.of(-1, -0.75).buffer);
  await writeFile(path, Buffer.concat([Buffer.from('PK\0\0\0\0\0\0'), Buffer.from(header), data]));
  expect(await opened(path)).toEqual({ w });
  expect(await opened(fixture('legacy.pt'))).toEqual({ w });
  await writeFile(path, 'something else');
  await expect(opened(path)).rejects.toThrow(/it is cut off or no safetensors file/);
});

test('CRC-32 is that of zip files, at once and in parts, with Node’s own and without', () => {
  const bytes = new TextEncoder().encode('123456789');
  for (const crc of [crc32, crcOf(0xedb88320)]) {
    expect(crc(bytes)).toBe(0xcbf43926);
    expect(crc(bytes.subarray(4), crc(bytes.subarray(0, 4)))).toBe(0xcbf43926);
  }
});
