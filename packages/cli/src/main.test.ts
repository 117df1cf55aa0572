import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test, vi } from 'vitest';
import { describePreset } from './describe-presets.js';
import { main } from './main.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-cli-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

/** The command in a process of its own, as a user runs it. */
function run(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), `${root}/packages/cli/src/bin.ts`, ...args],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` } },
  );
  return { stdout, stderr, status };
}

/** The command in this process, which has started already. */
async function call(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((text) => void out.push(`${text}\n`)),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => !!err.push(String(text))),
  ];
  try {
    const status = await main(args);
    return { stdout: out.join(''), stderr: err.join(''), status };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

test('`logsnr describe` prints a table; --json is one line', { timeout: 240_000 }, () => {
  expect(run('describe', 'dit-s-8').stdout).toMatch(/^layer .*\n─+\n(.*\n)+─+\ntotal .* 33\.14 M .* 358\.4 M/);
  const { stdout, stderr, status } = run('--', 'describe', 'dit-s-8', '--json', '--batch', '2', '--depth', '1');
  expect([status, stderr, stdout.trim().split('\n')]).toEqual([0, '', [expect.any(String)]]);
  expect(JSON.parse(stdout)).toEqual({ preset: 'dit-s-8', ...describePreset('dit-s-8', { batch: 2, depth: 1 }) });
});

test('`logsnr doctor` tells of the machine', { timeout: 240_000 }, () => {
  const report = JSON.parse(run('doctor', '--json').stdout);
  expect(report.findings[0]).toMatchObject({ what: 'node', ok: true });
  expect(report.backend).toMatch(/^backend: /);
});

test.each([
  ['fly', /^logsnr: there is no command "fly"; the commands are describe, .*doctor\.\n$/],
  ['describe', /^logsnr: give one preset, or --all; the presets are mnist, .*\n$/],
  ['describe mnist --depth 0', /^logsnr: .*'0' is invalid.* It must be an integer of at least 1\.\n$/],
  ['evaluate --data x', /^logsnr: required option '--reference <B>' not specified\n$/],
  ['evaluate --data x --reference y', /^logsnr: x cannot be read: it is missing \(ENOENT\)\.\n$/],
  ['convert nothing model', /^logsnr: there is no model "nothing"; give a run folder of `logsnr train`, .*\n$/],
  ['convert nothing model.pt', /^logsnr: model\.pt is a file's name; .*--as.*\n$/],
  ['convert nothing a.pt --as torch', /^logsnr: .*Allowed choices are guided-diffusion, dit, diffusers, logsnr\.\n$/],
])('`logsnr %s` says in one line what is accepted', async (args, message) => {
  const { stdout, stderr, status } = await call(...args.split(' '));
  expect([stdout, status]).toEqual(['', 1]);
  expect(stderr).toMatch(message);
});

test('`logsnr evaluate` judges images, and leaves a file that is there', async () => {
  const args = [
    '--data',
    'mnist:train:64',
    '--reference',
    'mnist:test:64',
    '--extractor',
    'mnist',
    '--json',
    at('a.json'),
  ];
  const { stdout, status } = await call('evaluate', ...args);
  expect(status).toBe(0);
  expect(stdout).toContain('MNIST train:64 (n = 64) against MNIST test:64 (n = 64)');
  const text = readFileSync(at('a.json'), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ n: 64, nReference: 64, fid: expect.any(Number) });
  expect(await call('evaluate', ...args)).toMatchObject({ status: 1, stderr: expect.stringContaining('--overwrite') });
  expect(readFileSync(at('a.json'), 'utf8')).toBe(text);
});

test('`logsnr convert` makes a model of a folder of diffusers, and back the same tensors', async () => {
  const from = `${root}/examples/foreign-model/checkpoint`;
  const convert = (...args: string[]) => call('convert', ...args);
  expect(await convert(from, at('digits'), '--null-label', '10')).toMatchObject({ status: 0, stderr: '' });
  const record = JSON.parse(readFileSync(at('digits/model.json'), 'utf8'));
  expect(record).toMatchObject({ format: 'logsnr-model-1', prediction: 'eps', network: { config: { classes: 10 } } });
  // The peer's file that is written back makes the same model again, to the bit.
  cpSync(`${from}/config.json`, at('back/config.json'));
  cpSync(`${from}/scheduler`, at('back/scheduler'), { recursive: true });
  const file = at('back/diffusion_pytorch_model.safetensors');
  expect(await convert(at('digits'), file, '--as', 'diffusers')).toMatchObject({ status: 0, stderr: '' });
  expect(await convert(at('back'), at('again'), '--null-label', '10')).toMatchObject({ status: 0, stderr: '' });
  const bytes = (name: string) => readFileSync(at(`${name}/model.safetensors`));
  expect(bytes('again').equals(bytes('digits'))).toBe(true);
  expect(await convert(at('digits'), at('again'))).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--overwrite'),
  });
  // What is wrong in a record is said by its name.
  mkdirSync(at('damaged'));
  cpSync(at('digits/model.safetensors'), at('damaged/model.safetensors'));
  writeFileSync(at('damaged/model.json'), JSON.stringify({ ...record, prediction: 'noise' }));
  expect((await convert(at('damaged'), at('x'))).stderr).toMatch(
    /damaged\/model\.json does not say .*: prediction: .*"v".*\n$/,
  );
});
