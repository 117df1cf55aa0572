import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { beforeAll, expect, test } from 'vitest';

// Every script of every example runs for some seconds on the built packages, as a user's program does, in an empty folder:
// it finds no earlier run there, and what it writes under its default `out` is seen.
const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);
const scripts = readdirSync(`${root}/examples`).flatMap((name) => {
  const manifest = JSON.parse(readFileSync(`${root}/examples/${name}/package.json`, 'utf8'));
  return Object.values<string>(manifest.scripts).flatMap((command) => {
    const file = /\btsx\b.* (\S+\.ts)\b/.exec(command)?.[1];
    return file ? [`examples/${name}/${file}`] : [];
  });
});

beforeAll(() => run(process.execPath, [`${root}/scripts/run.mjs`, 'setup']), 300_000);

test('each example has a script', () => {
  for (const name of readdirSync(`${root}/examples`)) expect(scripts).toContain(`examples/${name}/main.ts`);
});

test.each(scripts)('%s --quick', { timeout: 180_000 }, async (script) => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-example-'));
  try {
    const tsx = ['--import', import.meta.resolve('tsx'), `${root}/${script}`, '--quick'];
    // The base settings have no paths to the sources.
    const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.base.json` };
    const { stdout } = await run(process.execPath, tsx, { cwd: folder, env, maxBuffer: 2 ** 26 });
    expect(stdout.trim()).not.toBe('');
    const written = (readdirSync(folder, { recursive: true }) as string[]).map((file) => file.replaceAll('\\', '/'));
    // What it says it wrote is there.
    expect(written).toEqual(expect.arrayContaining(stdout.match(/\bout\/[\w./-]+\.\w+/g) ?? []));
    const source = readFileSync(`${root}/${script}`, 'utf8');
    const pictures = written.filter((file) => file.endsWith('.png'));
    if (source.includes('@logsnr/figures')) expect(pictures).not.toEqual([]);
    for (const picture of pictures) {
      const { data, width, height } = decode(readFileSync(join(folder, picture)));
      expect([picture, Math.min(width, height) > 8, new Set(data).size > 1]).toEqual([picture, true, true]);
    }
    for (const file of written.filter((file) => file.endsWith('.json')))
      expect(() => JSON.parse(readFileSync(join(folder, file), 'utf8')), file).not.toThrow();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('npm run demo, interrupted while it trains by each signal in turn, loses no step, and ends with the same weights', async () => {
  const args = ['--import', 'tsx', 'scripts/soak-demo.ts', '--each', '1', '--steps', '40'];
  const { stdout } = await run(process.execPath, args, { cwd: root });
  expect(stdout).toContain('1 × SIGINT, 1 × SIGTERM, 1 × SIGHUP, 1 × SIGKILL; 0 of the first three lost a step');
  expect(stdout).toMatch(/compared 625 tensors, \d+ bytes: 0 differ; metrics\.jsonl has each step once/);
}, 300_000);

test.each([
  ['--w 1e39', /w is "1e39"; it must be a list of finite float32 numbers/],
  ['--from nowhere.safetensors', /There is no file nowhere\.safetensors/],
  ['--training-steps 0', /training-steps is "0"/],
  ['--minutes 1e6', /minutes is "1e6"; it must be above 0 and below 100000\./],
])('npm run demo -- %s is refused before the set-up of TensorFlow', async (option, message) => {
  const job = [`${root}/scripts/run.mjs`, 'demo', ...option.split(' ')];
  const { code, stderr } = await run(process.execPath, job).catch((error) => error);
  expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  expect(stderr).not.toContain('TensorFlow');
});

test('an error that ends the demo is one line that says what is wrong, and its code is 1', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-demo-'));
  const file = join(folder, 'junk');
  writeFileSync(file, 'junk');
  try {
    for (const [option, message] of [
      [`--from ${file}`, `${file} has 4 bytes; a safetensors file has at least 8.`],
      [`--out ${file}`, `${file} cannot be written: it is there already. Choose another name (EEXIST).`],
    ] as const) {
      const job = [
        '--import',
        'tsx',
        'scripts/one-line.mjs',
        'examples/mnist/main.ts',
        '--quick',
        ...option.split(' '),
      ];
      const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.base.json` };
      const { code, stderr } = await run(process.execPath, job, { cwd: root, env }).catch((error) => error);
      expect([code, stderr.trimEnd().split('\n').slice(-2)]).toEqual([
        1,
        [expect.stringMatching(/^backend: /), message],
      ]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);

test('the launcher installs anew what is gone from node_modules', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-installed-'));
  const help = () => run(process.execPath, [`${folder}/scripts/run.mjs`, 'demo', '--help']);
  const commander = join(folder, 'examples/mnist/node_modules/commander');
  try {
    await run('git', ['clone', '-q', root, folder]);
    for (const name of ['run.mjs', 'one-line.mjs']) cpSync(`${root}/scripts/${name}`, `${folder}/scripts/${name}`);
    expect((await help()).stderr).toContain('setup: packages');
    expect((await help()).stderr).not.toContain('setup: packages');
    for (const gone of [realpathSync(commander), commander]) {
      rmSync(gone, { recursive: true });
      expect((await help()).stderr).toContain('setup: packages');
      expect(existsSync(join(commander, 'package.json'))).toBe(true);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
