import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from 'fast-png';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { writeFiles } from '../../../test/cifar10-files.js';
import { call, processesIn, root } from '../test/command.js';
import { describePreset } from './describe-presets.js';
import { PUBLISHED } from './published.js';
import { firstCell } from './sweep-cells.js';
import { writeReport } from './sweep-report.js';

const folder = mkdtempSync(join(tmpdir(), 'logsnr-cli-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const { run, start, killed } = processesIn(folder);

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
  ['fly', /^logsnr: there is no command "fly"; the commands are train, .*doctor\.\n$/],
  ['describe', /^logsnr: give one preset, or --all; the presets are mnist, .*\n$/],
  ['describe mnist --depth 0', /^logsnr: .*'0' is invalid.* It must be an integer of at least 1\.\n$/],
  ['evaluate --data x', /^logsnr: required option '--reference <B>' not specified\n$/],
  ['evaluate --data x --reference y', /^logsnr: x cannot be read: it is missing \(ENOENT\)\.\n$/],
  ['train', /^logsnr: give a preset or --data; the presets are mnist, .*imagenet128\.\n$/],
  ['train moon', /^logsnr: there is no preset "moon"; .*--data FOLDER\.\n$/],
  ['train mnist --data nowhere', /^logsnr: there is no folder "nowhere"; .*cifar10\.\n$/],
  ['train mnist --p-uncond 2', /^logsnr: .*'2' is invalid.* a number from 0 to 1\.\n$/],
  ['train imagenet64', /^logsnr: "imagenet64" needs images: give --data FOLDER.*\n$/],
  ['sample nothing', /^logsnr: there is no model "nothing"; .*@logsnr\/model-NAME\.\n$/],
  ['sample nothing --sampler magic', /^logsnr: .*Allowed choices are ancestral, ddim, .*\n$/],
  ['sample nothing --guidance magic', /^logsnr: .*It must be classifier-free, .*as JSON\.\n$/],
  ['sample nothing --guidance {"method":"x"}', /^logsnr: .*the guidance's method does not fit.*\n$/],
  ['sweep nothing', /^logsnr: required option '--out <folder>' not specified\n$/],
  ['sweep nothing --out x --w 1,two', /^logsnr: .*It must be a finite number\.\n$/],
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

const small = ['train', 'mnist', '--base', '8', '--batch', '4', '--steps', '6', '--seed', '1'];

test('`logsnr train` that was killed goes on to the same weights, and refuses other settings', {
  timeout: 240_000,
}, async () => {
  await killed('killed/checkpoints/step-00000001/manifest.json', ...small, '--out', 'killed');
  const resumed = await call(...small, '--out', at('killed'), '--json');
  expect(resumed.stderr).toMatch(/going on after step [1-6]/);
  expect(JSON.parse(resumed.stdout)).toMatchObject({ step: 6, skipped: 0 });
  expect(await call(...small, '--out', at('whole'))).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('6 steps'),
  });
  const bytes = (name: string) => readFileSync(at(`${name}/model.safetensors`));
  expect(bytes('killed').equals(bytes('whole'))).toBe(true);
  const record = JSON.parse(readFileSync(at('whole/model.json'), 'utf8'));
  expect(record).toMatchObject({
    ...{ name: 'mnist', prediction: 'v', schedule: { name: 'arctan', lambdaMin: -12, lambdaMax: 12 } },
    network: { kind: 'unet', config: { base: 8, classes: 10 } },
    data: { name: 'mnist', count: 60_000, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    training: { seed: 1, steps: 6, batch: 4, pUncond: 0.1 },
    versions: { node: process.versions.node },
  });
  const other = await call(...small, '--p-uncond', '0.2', '--out', at('whole'));
  expect(other).toMatchObject({ status: 1, stderr: expect.stringMatching(/pUncond is 0\.2, was 0\.1/) });
  expect(JSON.parse(readFileSync(at('whole/model.json'), 'utf8'))).toEqual(record);
});

test('`logsnr train --data` trains on a folder of images, whose broken files it names', {
  timeout: 240_000,
}, async () => {
  // As a camera gives them: JPEG, of odd sizes, upright and lying.
  const sizes = [
    { width: 21, height: 17 },
    { width: 16, height: 43 },
    { width: 130, height: 65 },
  ];
  for (const [label, name] of ['birds', 'cats', 'dogs'].entries())
    for (const [i, size] of sizes.entries()) {
      const background = { r: 80 * label, g: 60 * i, b: 200 };
      const photo = sharp({ create: { ...size, channels: 3, background } }).jpeg();
      writeFiles(at(`photos/${name}`), [{ name: `${i}.jpg`, data: await photo.toBuffer() }]);
    }
  const whole = readFileSync(at('photos/cats/2.jpg'));
  writeFiles(at('photos/dogs'), [
    { name: 'broken.jpg', data: 'no picture' },
    { name: 'short.jpeg', data: whole.subarray(0, whole.length / 2) },
  ]);
  const args = ['train', '--data', at('photos'), '--size', '16', '--base', '8', '--batch', '2', '--steps', '2'];
  const refused = await call(...args, '--out', at('pets'));
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/dogs\/broken\.jpg.*\n?.*dogs\/short\.jpeg/),
  ]);
  expect(existsSync(at('pets'))).toBe(false);
  const { status, stderr } = await call(...args, '--out', at('pets'), '--skip-broken');
  expect([status, stderr]).toEqual([0, expect.stringMatching(/left out: .*broken\.jpg.*\nleft out: .*short\.jpeg/)]);
  expect(JSON.parse(readFileSync(at('pets/model.json'), 'utf8'))).toMatchObject({
    ...{ name: 'photos', classNames: ['birds', 'cats', 'dogs'], data: { count: 9 } },
    network: { config: { height: 16, width: 16, channels: 3, classes: 3, base: 8, attention: [16] } },
  });
  const { stdout } = await call(
    'sample',
    at('pets'),
    '--class',
    'dogs',
    '--count',
    '1',
    '--steps',
    '2',
    '--out',
    at('dog'),
    '--json',
  );
  expect(JSON.parse(stdout).images).toEqual([{ file: '000000.png', label: 2 }]);
  expect(decode(readFileSync(at('dog/000000.png')))).toMatchObject({ width: 16, height: 16, channels: 3 });
  expect((await call('sample', at('pets'), '--class', 'bird', '--out', at('x'))).stderr).toMatch(
    /no class "bird".*birds, cats, dogs\.\n$/,
  );
});

test('`logsnr train --dry-run` tells what it takes and writes nothing', async () => {
  const { stdout, status } = await call('train', 'mnist', '--dry-run', '--json', '--out', at('dry'));
  expect([status, existsSync(at('dry'))]).toEqual([0, false]);
  const { plan, training } = JSON.parse(stdout);
  expect(plan).toMatchObject({ parameters: 288_881, stateBytes: 20 * 288_881, steps: 900 });
  // Three passes of two operations for each of the multiply-adds of docs/networks.md, for each image.
  expect(plan.flopsPerStep / (6 * training.batch) / 1e9).toBeCloseTo(0.05, 2);
});

test('`logsnr sample` draws from a run folder, from its weights alone and from a package, by the index alone', {
  timeout: 240_000,
}, async () => {
  const args = ['--w', '2', '--steps', '4', '--batch', '2', '--seed', '3', '--class', '7,1'];
  const sample = (from: string, out: string, ...more: string[]) =>
    call('sample', from, ...args, '--out', at(out), ...more);
  expect(await sample(at('whole'), 'two', '--count', '2')).toMatchObject({ status: 0 });
  const { stdout } = await sample(at('whole'), 'five', '--count', '5', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    w: 2,
    steps: 4,
    sampler: 'ancestral',
    guidance: { method: 'classifier-free', w: 2 },
  });
  expect(JSON.parse(stdout).images.map(({ label }: { label: number }) => label)).toEqual([7, 1, 7, 1, 7]);
  expect(readdirSync(at('five')).sort()).toEqual([
    ...Array.from({ length: 5 }, (_, i) => `00000${i}.png`),
    ...['grid.png', 'samples.json'],
  ]);
  const image = (out: string, i: number) => readFileSync(at(`${out}/00000${i}.png`));
  for (const i of [0, 1]) expect(image('two', i).equals(image('five', i))).toBe(true);
  expect(decode(image('five', 4))).toMatchObject({ width: 28, height: 28, channels: 1 });
  expect(image('five', 4).equals(image('five', 0))).toBe(false);
  // The averaged weights of the last checkpoint are those in the run's model.safetensors, which is what a package has.
  const packaged = at('node_modules/@logsnr/model-tiny');
  mkdirSync(packaged, { recursive: true });
  for (const file of ['model.json', 'model.safetensors']) cpSync(at(`whole/${file}`), join(packaged, file));
  writeFileSync(join(packaged, 'package.json'), '{ "name": "@logsnr/model-tiny", "version": "1.0.0" }');
  const before = process.cwd();
  process.chdir(folder);
  try {
    expect(await sample('tiny', 'packaged', '--count', '2')).toMatchObject({ status: 0 });
  } finally {
    process.chdir(before);
  }
  expect(image('packaged', 1).equals(image('two', 1))).toBe(true);
  expect(await sample(at('whole'), 'two')).toMatchObject({ status: 1, stderr: expect.stringContaining('--overwrite') });
  const unguided = await call(
    'sample',
    at('whole'),
    ...args,
    '--count',
    '2',
    '--out',
    at('two'),
    '--overwrite',
    '--w',
    '0',
  );
  expect(unguided.status).toBe(0);
  expect(image('packaged', 1).equals(image('two', 1))).toBe(false);
});

test('`logsnr sweep` shares its cells among processes, survives a kill, and gives one table', {
  timeout: 400_000,
}, async () => {
  const given = ['--w', '0,3', '--steps', '3,4', '--samples', '20', '--batch', '20', '--reference', 'mnist:test:40'];
  const args = (out: string) => ['sweep', at('whole'), ...given, '--out', out];
  await killed('shared/cells/w0-T3.lock', ...args('shared'));
  const other = start(...args('shared'));
  const ended = new Promise((done) => other.on('exit', done));
  expect(await call(...args(at('shared')))).toMatchObject({ status: 0 });
  expect(await ended).toBe(0);
  const { stdout } = await call(...args(at('alone')), '--json');
  const rowsOf = (out: string) =>
    JSON.parse(readFileSync(at(`${out}/results.json`), 'utf8')).rows.map(
      ({ seconds: _, ...row }: { seconds: number }) => row,
    );
  expect(rowsOf('shared')).toEqual(rowsOf('alone'));
  expect(rowsOf('alone').map(({ w, steps }: { w: number; steps: number }) => [w, steps])).toEqual([
    [0, 3],
    [3, 3],
    [0, 4],
    [3, 4],
  ]);
  expect(JSON.parse(stdout)[0]).toMatchObject({ samples: 20, fid: expect.any(Number), is: expect.any(Number) });
  // Guidance changes the samples, and so does T.
  expect(new Set(rowsOf('alone').map(({ fid }: { fid: number }) => fid)).size).toBe(4);
  expect(readFileSync(at('alone/sweep.md'), 'utf8').split('\n')).toHaveLength(7);
  for (const name of ['samples.png', 'curve.png'])
    expect(decode(readFileSync(at(`alone/${name}`))).width).toBeGreaterThan(200);
  // What is done is not done again; a cell that is missing is.
  const before = readFileSync(at('alone/cells/w3-T4.json'), 'utf8');
  rmSync(at('alone/cells/w0-T3.json'));
  const again = await call(...args(at('alone')));
  expect(again.stderr.match(/20 images/g)).toHaveLength(1);
  expect(readFileSync(at('alone/cells/w3-T4.json'), 'utf8')).toBe(before);
  const { status, stderr } = await call(...args(at('alone')), '--seed', '1');
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^logsnr: .*seed is 1, was 0\. .*\n$/)]);
  writeFileSync(at('alone/sweep.json'), '{');
  expect((await call(...args(at('alone')))).stderr).toMatch(
    /^logsnr: .*sweep\.json is not what a sweep writes\. .*\n$/,
  );
  expect(await call(...args(at('whole')))).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("not a sweep's"),
  });
});

test('a sweep of an imagenet preset has what the paper reports for it, in a picture of its own', async () => {
  mkdirSync(at('report'));
  const row = { model: 'a', w: 0, steps: 4, samples: 20, fid: 3, is: 2, isStd: 0.1, seconds: 1 };
  await writeReport(at('report'), [row], { name: 'imagenet64', subtitle: 'imagenet64', models: ['a'] });
  expect(decode(readFileSync(at('report/published.png'))).width).toBe(1280);
  // FID is best at a small w, and the Inception Score rises all the way.
  const rows = PUBLISHED.imagenet64?.rows ?? [];
  expect(rows.reduce((best, row) => (row[1] < best[1] ? row : best))).toEqual([0.1, 1.55, 66.11]);
  expect(rows.map(([, , is]) => is)).toEqual(rows.map(([, , is]) => is).sort((a, b) => a - b));
  rmSync(at('report/published.png'));
  await writeReport(at('report'), [row], { name: 'mnist', subtitle: 'mnist', models: ['a'] });
  expect(existsSync(at('report/published.png'))).toBe(false);
});

test('tasks of an array begin at different cells', () => {
  const slurm = (id: string) => ({ SLURM_ARRAY_TASK_ID: id, SLURM_ARRAY_TASK_MIN: '1', SLURM_ARRAY_TASK_COUNT: '4' });
  expect(['1', '2', '3', '4'].map((id) => firstCell(8, slurm(id)))).toEqual([0, 2, 4, 6]);
  expect(['0', '3', '8'].map((index) => firstCell(8, { JOB_COMPLETION_INDEX: index }))).toEqual([0, 3, 0]);
  expect(firstCell(8, {})).toBe(0);
});

test('a model without ∅ is not guided by itself', async () => {
  expect(await call('convert', `${root}/examples/foreign-model/checkpoint`, at('labels'))).toMatchObject({ status: 0 });
  const { stderr, status } = await call('sample', at('labels'), '--w', '1', '--out', at('none'));
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^logsnr: "labels" has no ∅.*must be 0\.\n$/)]);
  expect(existsSync(at('none'))).toBe(false);
  writeFileSync(at('file'), '');
  for (const args of [
    ['sample', at('labels'), '--w', '0', '--count', '1'],
    ['sweep', at('labels'), '--w', '0', '--reference', 'mnist:test:40', '--extractor', 'mnist'],
  ])
    expect(await call(...args, '--out', at('file'))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/file.* cannot be written: .*\n$/),
    });
});
