import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, command } from '@logsnr/io/node';
import { afterAll, expect, test, vi } from 'vitest';
import { bindingFile, OPERATIONS } from './binding.js';
import { doctor } from './doctor.js';
import { inCache } from './find.js';
import { thisMachine } from './machine.js';
import { chooseDevice } from './plan.js';

const empty = mkdtempSync(join(tmpdir(), 'logsnr-bin-'));
afterAll(() => rmSync(empty, { recursive: true }));

const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const bin = fileURLToPath(new URL('./bin.ts', import.meta.url));
// A machine without any TensorFlow: an empty cache, and no Python.
const bare = { LOGSNR_CACHE: empty, LOGSNR_PYTHON: '/nowhere/python', LOGSNR_BACKEND: '', LOGSNR_TENSORFLOW: '' };
const run = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  command(process.execPath, [tsx, bin, ...args], {
    env: { ...process.env, ...bare, ...env },
    cwd: process.cwd(),
  });

test('without TensorFlow the backend is WebAssembly, the reason is said, and nothing is installed', async () => {
  const { code, out } = await run(['check']);
  expect(code).toBe(0);
  expect(out).toMatch(
    /^backend: wasm — native TensorFlow not available: TensorFlow is not installed \(.*\); run .*\n$/,
  );
  expect(readdirSync(empty)).toEqual([]);
});

test('a backend that is asked for by name and cannot be had is an error', async () => {
  const { code, err } = await run(['check'], { LOGSNR_BACKEND: 'tensorflow' });
  expect(code).toBe(1);
  expect(err).toContain('TensorFlow is not installed');
  expect((await run(['check'], { LOGSNR_BACKEND: 'webgl' })).err).toContain('backend is "webgl"; it must be one of');
});

test('doctor says what is missing and what to do, and ends with 1, or with 0 where another backend is asked for', async () => {
  const { code, out } = await run(['doctor', '--json']);
  expect(code).toBe(1);
  const report = JSON.parse(out);
  expect(report.native).toBe(false);
  expect(report.backend).toContain('backend: wasm');
  expect(report.findings.find(({ what }: { what: string }) => what === 'TensorFlow')).toMatchObject({
    ok: false,
    todo: expect.stringContaining('logsnr-tensorflow install'),
  });
  expect((await run(['doctor'], { LOGSNR_BACKEND: 'wasm' })).code).toBe(0);
});

test('install without a compiler fails in one line before anything is fetched', async () => {
  const { code, err } = await run(['install'], { CXX: '/nowhere/c++' });
  expect(code).toBe(1);
  expect(err).toBe('no native TensorFlow: the C++ compiler that CXX names, /nowhere/c++, cannot be run\n');
});

const device = chooseDevice(process.env.LOGSNR_DEVICE, thisMachine());
const installed = inCache(device);
const ready = installed && existsSync(bindingFile(installed)) ? installed : undefined;

test.runIf(ready)(
  'a damaged binding is never loaded: one line names install, doctor fails, install makes it anew',
  async () => {
    if (!ready) return;
    // The real library under another cache's name, a copy of its binding, and a compiler that hands that copy out.
    const cache = mkdtempSync(join(tmpdir(), 'logsnr-damage-'));
    const env = { LOGSNR_CACHE: cache, LOGSNR_DEVICE: device };
    symlinkSync(dirname(ready.folder), join(cache, basename(dirname(ready.folder))));
    const found = { ...ready, folder: ready.folder.replace(cacheFolder(), cache) };
    const [good, binding] = [join(cache, 'good'), dirname(bindingFile(found, { ...process.env, ...env }))];
    cpSync(dirname(bindingFile(ready)), good, { recursive: true });
    cpSync(good, binding, { recursive: true });
    const compiler = join(cache, 'compiler');
    writeFileSync(
      compiler,
      `#!/bin/sh\nwhile [ $# -gt 1 ] && [ "$1" != -o ]; do shift; done\ncp "${good}/\${2##*/}" "$2" 2> "$2"\nexit 0\n`,
    );
    chmodSync(compiler, 0o755);
    try {
      const operations = join(binding, OPERATIONS);
      truncateSync(operations, 5000);
      const cut = await run(['check'], env);
      expect(cut.out).toMatch(
        /^backend: wasm — native TensorFlow not available: .*operations\.node is damaged: it has 5000 bytes, .*; run "npx logsnr-tensorflow install" .*\n$/,
      );
      for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
      const { findings } = await doctor(['true']);
      expect(findings.find(({ what }) => what === 'binding')).toMatchObject({
        ok: false,
        todo: expect.stringContaining('install'),
      });
      const mended = await run(['install'], { ...env, CXX: compiler });
      expect(mended.err).toMatch(/operations\.node is damaged: .*; it is made anew/);
      expect(mended.out).toMatch(/^backend: tensorflow/);
    } finally {
      vi.unstubAllEnvs();
      rmSync(cache, { recursive: true });
    }
  },
);
