import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '@logsnr/io/node';
import { ADAM } from '@logsnr/nn';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fuzz } from '../../../scripts/fuzz.js';
import { caseOf, fits } from '../../../scripts/fuzz-operations-cases.js';
import { backendInfo } from './backend.js';
import { compiler } from './binding.js';
import { registerTensorflow } from './native.js';

const require = createRequire(import.meta.url);
const sources = fileURLToPath(new URL('../native/', import.meta.url));
const native = backendInfo()?.backend === 'tensorflow';
const { program } = native ? await compiler() : { program: 'none' };
// The process that loads the operations is not itself built with the sanitizer, so it must load these first.
const runtimes = ['libasan.so', 'libstdc++.so.6'];
const found = await Promise.all(runtimes.map((name) => command(program, [`-print-file-name=${name}`])));
const preload = found.map(({ out }) => out.trim());
const reason = !native
  ? 'no native TensorFlow here'
  : preload.every((file) => file.startsWith('/') && existsSync(file))
    ? undefined
    : `${program} has no address sanitizer that a running program can load (libasan.so)`;
const env = { LD_PRELOAD: preload.join(' '), ASAN_OPTIONS: 'detect_leaks=0' };

const folder = mkdtempSync(join(tmpdir(), 'logsnr-sanitizers-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function compile(output: string, ...inputs: string[]): Promise<string> {
  const { found } = await registerTensorflow();
  const headers = [require('node-api-headers').include_dir, join(found.folder, 'include'), sources];
  const { code, err } = await command(program, [
    ...['-w', '-Wno-psabi', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
    ...['-std=c++17', '-march=native', '-pthread', '-fPIC', output.endsWith('.o') ? '-c' : '-shared'],
    ...['-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION', ...headers.map((header) => `-I${header}`)],
    ...inputs,
    ...(output.endsWith('.o') ? [] : [join(found.folder, 'libtensorflow_framework.so.2')]),
    ...['-o', join(folder, output)],
  ]);
  expect(err).toBe('');
  expect(code).toBe(0);
  return join(folder, output);
}

/** The objects of all sources, with the address and undefined behaviour sanitizers. */
let objects: readonly string[] = [];
beforeAll(async () => {
  if (reason) return;
  const units = readdirSync(sources).filter((file) => file.endsWith('.cc') && file !== 'quiet.cc');
  objects = await Promise.all(units.map((unit) => compile(`${unit}.o`, join(sources, unit))));
}, 240_000);

test('the sanitizers find nothing in the native operations, whatever sizes they are given', async ({ skip }) => {
  skip(reason !== undefined, reason);
  const operations = await compile('operations.node', ...objects);
  const { results, refusals, failures } = await fuzz('operations', { seed: 2, cases: 300, operations, env });
  expect(failures).toEqual([]);
  expect(results + refusals).toBe(300);
}, 240_000);

// A processor with wide vectors can be told to do with narrow ones.
test.each(process.arch === 'x64' ? ['-mno-avx512f', '-mno-avx'] : [])(
  'nor in convolutions and attention compiled with %s',
  async (flag) => {
    if (reason) return;
    const units = ['convolution.cc', 'attention.cc'];
    const narrow = await Promise.all(units.map((unit) => compile(`${unit}${flag}.o`, join(sources, unit), flag)));
    const others = objects.filter((object) => !units.some((unit) => object.endsWith(`${unit}.o`)));
    const operations = await compile(`operations${flag}.node`, ...others, ...narrow);
    const { results, failures } = await fuzz('operations', { seed: 3, cases: 150, operations, env });
    expect(failures).toEqual([]);
    expect(results).toBeGreaterThan(30);
  },
  240_000,
);

test('they do find one value too many', async ({ skip }) => {
  skip(reason !== undefined, reason);
  const right = readFileSync(join(sources, 'adam.cc'), 'utf8');
  const wrong = right.replace('i < end;', 'i <= end;');
  expect(wrong).not.toBe(right);
  writeFileSync(join(folder, 'wrong.cc'), wrong);
  const others = objects.filter((object) => !object.endsWith('adam.cc.o'));
  const operations = await compile('wrong.node', ...others, join(folder, 'wrong.cc'));
  const isAdam = (index: number) => caseOf(2, index).kernel === ADAM && fits(caseOf(2, index));
  const first = Array.from({ length: 100 }, (_, index) => index).find(isAdam);
  const { failures } = await fuzz('operations', { seed: 2, first: first ?? 0, cases: 1, operations, env });
  expect(failures.join()).toContain('LogsnrAdam');
  expect(failures.join()).toContain('AddressSanitizer: heap-buffer-overflow');
}, 240_000);
