import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DamagedFile } from '@logsnr/io';
import { fingerprintOf } from '@logsnr/io/node';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Manifest, readManifest, writeManifest } from './manifest.js';
import { openStore } from './store.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-manifest-'));
});
afterEach(() => rm(folder, { recursive: true }));

const whole = { step: 1, backends: [], settings: { rate: [0.1, null] }, files: {} };
const some = { bytes: 0, sha256: '0'.repeat(64) };
const write = (manifest: object) => writeManifest(folder, { ...whole, ...manifest } as Manifest);

test('a manifest comes back, its files checked', async () => {
  await writeFile(join(folder, 'state.safetensors'), 'text');
  const files = { 'state.safetensors': await fingerprintOf(join(folder, 'state.safetensors')) };
  await write({ files });
  expect(await readManifest(folder)).toEqual({ ...whole, files });
});

test.each<[string, object, RegExp]>([
  ['a device', { files: { '/dev/zero': some } }, /files\.\/dev\/zero: /],
  ['a file of another folder', { files: { '../x': some } }, /files\.\.\.\/x: /],
  ['a folder above', { files: { '..': some } }, /files\.\.\.: /],
  ['a fingerprint of another kind', { files: { a: { bytes: -1, sha256: '' } } }, /files\.a\.bytes: /],
  ['no step', { step: 'one' }, /step: expected number but received "one"/],
  ['settings that are a list', { settings: [] }, /settings: /],
])('one that lists %s is refused by its name', async (_what, manifest, message) => {
  await write(manifest);
  const error = await readManifest(folder).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DamagedFile);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(`${join(folder, 'manifest.json')} `);
});

test.skipIf(process.platform === 'win32')('a pipe in the place of a file is refused at once', async () => {
  execFileSync('mkfifo', [join(folder, 'state.safetensors')]);
  await write({ files: { 'state.safetensors': some } });
  await expect(readManifest(folder)).rejects.toThrow(/state\.safetensors is a pipe; only a file can be read/);
  await rm(join(folder, 'manifest.json'));
  execFileSync('mkfifo', [join(folder, 'manifest.json')]);
  await expect(readManifest(folder)).rejects.toThrow(/manifest\.json is a pipe/);
});

describe('a checkpoint that cannot be read is no broken one', () => {
  test.each(['EACCES', 'EIO', 'EMFILE'])('%s: an error that names the file, and all is as it was', async (code) => {
    const store = await openStore(join(folder, 'checkpoints'), { settings: {}, warn: () => {} });
    const parameters = { w: tf.ones([3]) };
    for (const step of [1, 2]) await store.save({ step, parameters });
    tf.dispose(parameters);
    const probe = join(folder, 'checkpoints', 'step-00000002', 'state.safetensors');
    const before = await readFile(probe);
    const file = await open(probe);
    const spy = vi.spyOn(Object.getPrototypeOf(file), 'read');
    spy.mockRejectedValue(Object.assign(new Error(`${code}: read`), { code }));
    try {
      await expect(store.newest()).rejects.toThrow(new RegExp(`step-00000002/.* cannot be read: .*\\(${code}\\)`));
    } finally {
      spy.mockRestore();
      await file.close();
    }
    expect((await readdir(join(folder, 'checkpoints'))).sort()).toEqual(['step-00000001', 'step-00000002']);
    expect(await readFile(probe)).toEqual(before);
  });

  test('one with a folder for a file, or a file for its folder, is broken and set aside', async () => {
    const said: string[] = [];
    const store = await openStore(join(folder, 'checkpoints'), { settings: {}, warn: (text) => said.push(text) });
    const parameters = { w: tf.ones([3]) };
    for (const step of [1, 2]) await store.save({ step, parameters });
    const state = join(folder, 'checkpoints', 'step-00000002', 'state.safetensors');
    await rm(state);
    await mkdir(state);
    await writeFile(join(folder, 'checkpoints', 'step-00000003'), '');
    const found = await store.newest();
    expect(found?.checkpoint.step).toBe(1);
    expect(said.join('\n')).toMatch(/step-00000003 is no folder: that checkpoint is set aside/);
    expect(said.join('\n')).toMatch(/state\.safetensors is a folder; only a file can be read: .*set aside/);
    tf.dispose([parameters, found?.checkpoint.parameters ?? {}] as unknown as tf.TensorContainer);
  });
});
