import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { command } from './command.js';

const empty = mkdtempSync(join(tmpdir(), 'logsnr-bin-'));
afterAll(() => rmSync(empty, { recursive: true }));

const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const bin = fileURLToPath(new URL('./bin.ts', import.meta.url));
// A machine without any TensorFlow: an empty cache, and no Python.
const bare = { LOGSNR_CACHE: empty, LOGSNR_PYTHON: '/nowhere/python', LOGSNR_BACKEND: '', LOGSNR_TENSORFLOW: '' };
const run = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  command(process.execPath, [tsx, bin, ...args], { ...process.env, ...bare, ...env });

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
