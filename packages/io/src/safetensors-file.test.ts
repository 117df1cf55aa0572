import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DamagedFile } from './damaged-file.js';
import { writeSynced } from './durable.js';
import { fingerprintOf } from './files.js';
import type { Heading } from './header.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';
import { safetensorsPieces, withSafetensors } from './safetensors-file.js';
import type { Values } from './values.js';

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-safetensors-'));
  path = join(folder, 'a.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

const headings: Heading[] = [
  { name: 'w', dtype: 'F32', shape: [2] },
  { name: 'n', dtype: 'I32', shape: [] },
];
const arrays = [Float32Array.of(1.5, -2), Int32Array.of(7)];
async function* bytes(...all: Values[]) {
  for (const { buffer, byteOffset, byteLength } of all) yield new Uint8Array(buffer, byteOffset, byteLength);
}
const read = (from: string) =>
  withSafetensors(from, async ({ entries, metadata, checked, values }) => {
    const all = new Map<string, Values>();
    for (const entry of entries) all.set(entry.name, await values(entry));
    return { metadata, checked, values: Object.fromEntries(all) };
  });

test('a file written in pieces is the one written at once, and comes back tensor by tensor', async () => {
  await writeSynced(path, safetensorsPieces(headings, { a: 'b' }, bytes(...arrays)));
  const [w, n] = [Float32Array.of(1.5, -2), Int32Array.of(7)];
  const whole = { tensors: { w: { shape: [2], data: w }, n: { shape: [], data: n } }, metadata: { a: 'b' } };
  expect(new Uint8Array(await readFile(path))).toEqual(encodeSafetensors(whole));
  expect(decodeSafetensors(await readFile(path)).checked).toBe(true);
  expect(await read(path)).toEqual({ metadata: { a: 'b' }, checked: true, values: { w, n } });
});

test('one byte changed is refused before a tensor is read', async () => {
  await writeSynced(path, safetensorsPieces(headings, {}, bytes(...arrays)));
  const changed = await readFile(path);
  changed[changed.length - 1] = 1;
  await writeFile(path, changed);
  const error = await withSafetensors(path, async () => 'read').catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DamagedFile);
  expect((error as Error).message).toMatch(`${path} was changed since it was written`);
});

test('tensors that do not fit their shapes leave no file', async () => {
  const written = writeSynced(path, safetensorsPieces(headings, {}, bytes(Float32Array.of(1))));
  await expect(written).rejects.toThrow('the tensors have 4 bytes; their shapes need 12.');
  expect(await readdir(folder)).toEqual([]);
});

test('a file has the fingerprint that it must have, or is refused before a tensor is read', async () => {
  await writeSynced(path, safetensorsPieces(headings, {}, bytes(...arrays)));
  const written = await fingerprintOf(path);
  const read = (other: object) => withSafetensors(path, async () => 'read', { ...written, ...other });
  expect(await read({})).toBe('read');
  await expect(read({ sha256: 'f'.repeat(64) })).rejects.toThrow(`${path} was changed since it was written`);
  await expect(read({ bytes: 7 })).rejects.toThrow(`${path} has ${written.bytes} bytes where 7 were written`);
});

test('a name of a megabyte is refused in few words', async () => {
  const name = 'x'.repeat(2 ** 20);
  const twice = safetensorsPieces(
    [
      { name, dtype: 'F32', shape: [0] },
      { name, dtype: 'F32', shape: [0] },
    ],
    {},
    bytes(),
  );
  await expect(writeSynced(path, twice)).rejects.toThrow(/^what is to be written .{1,600}$/);
});
