// One command from a fresh clone: sets up what a job needs, then runs the job. Needs Node 20 or newer and nothing else.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const usage = `Usage: node scripts/run.mjs <job> [arguments]

Jobs:
  demo     train a small model and sample from it; arguments go to the example
  test     run the tests; arguments go to vitest
  doctor   say which backend is used here, and why; --json for machines
  setup    only install and build everything
  pnpm     run the repository's pnpm with the arguments

Environment: LOGSNR_BACKEND=tensorflow|wasm|cpu, LOGSNR_DEVICE=cpu|cuda, LOGSNR_CACHE=<folder>`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const major = Number.parseInt(process.versions.node, 10);
if (!(major >= 20)) fail(`Node ${process.versions.node} is too old: install Node 20 or newer.`);

const [job, ...given] = process.argv.slice(2);
const args = given[0] === '--' ? given.slice(1) : given;
const env = {
  ...process.env,
  COREPACK_ENABLE_DOWNLOAD_PROMPT: '0',
  DO_NOT_TRACK: '1',
  TURBO_TELEMETRY_DISABLED: '1',
  // Else turbo hides the next line from the pnpm that it starts.
  TURBO_ENV_MODE: 'loose',
  // The version is the right one already; pnpm's own way to fetch it wants an entry in the lock file.
  pnpm_config_pm_on_fail: 'ignore',
};
// npm hands its own settings down in npm_config_*, and pnpm warns of each. It gets those of the network by its own names.
for (const [name, value] of Object.entries(process.env)) {
  const setting = /^npm_config_(.+)$/i.exec(name)?.[1].toLowerCase().replaceAll('-', '_');
  if (!setting) continue;
  delete env[name];
  if (/^(registry|(https?_)?proxy|noproxy|ca|cafile|strict_ssl)$/.test(setting))
    env[`pnpm_config_${setting}`] ??= value;
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const pnpmVersion = manifest.packageManager.replace(/^pnpm@/, '').replace(/\+.*/, '');
const pnpmPlace = () => join(root, 'node_modules', '.logsnr-pnpm');
// Looked up when they are called: on a fresh clone the packages are not there yet.
// In this process and not by tsx's command, which kills a program that has not ended 60 ms after a signal.
const tsx = () => [process.execPath, '--import', import.meta.resolve('tsx')];
const vitest = () => [
  process.execPath,
  fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json'))),
];

const children = new Set();
let interrupted = false;
// The children get every signal and are waited for: a training saves, and none is left behind.
const pass = (signal) => {
  interrupted = true;
  for (const child of children) child.kill(signal);
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, pass);
// npm passes SIGTERM to the shell that started this process, and no further. That the shell is gone is the signal.
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(watch);
  pass('SIGTERM');
}, 200).unref();
if (!env.npm_lifecycle_event) clearInterval(watch);

const jobs = {
  async demo() {
    await install();
    // The base settings have no paths to the sources, so the example runs on what was built, as a user's program does.
    const example = (file) =>
      run([...tsx(), 'scripts/one-line.mjs', `examples/mnist/${file}`, ...args], {
        TSX_TSCONFIG_PATH: 'tsconfig.base.json',
      });
    // Options first, before anything that takes minutes. This prints the help too.
    const code = await example('options.ts');
    if (code !== 0 || args.includes('--help') || args.includes('-h')) return code;
    await both(build(), native());
    return example('main.ts');
  },
  async test() {
    await install();
    await native();
    const reporters = args.some((arg) => arg.startsWith('--reporter'))
      ? []
      : ['--reporter=default', `--reporter=${fileURLToPath(import.meta.resolve('./summary-reporter.mjs'))}`];
    return run([...vitest(), 'run', ...reporters, ...args]);
  },
  async doctor() {
    await install();
    return run([...tsx(), 'packages/tensorflow/src/bin.ts', 'doctor', ...args]);
  },
  async setup() {
    await install();
    await both(build(), native());
    return 0;
  },
  async pnpm() {
    // Where it was called, so that `pnpm pack` packs the package one stands in.
    return run([...(await pnpm()), ...args], {}, { cwd: process.cwd() });
  },
};

if (job === '--help' || job === '-h') {
  console.log(usage);
} else if (!job || !Object.hasOwn(jobs, job)) {
  fail(`${job ? `There is no job "${job}".` : 'Which job?'}\n${usage}`);
} else {
  try {
    process.exitCode = await jobs[job]();
  } catch (error) {
    fail(error.message);
  }
}

/** The repository's own version of pnpm: the installed one, else by npx. */
async function pnpm() {
  if (await isPnpm()) return ['pnpm'];
  const path = env.PATH;
  for (const find of [keptPnpm, fetchedPnpm]) {
    const folder = await find();
    if (!folder) continue;
    env.PATH = [folder, path].join(delimiter);
    if (await isPnpm()) return ['pnpm'];
    env.PATH = path;
  }
  return ['npx', '--yes', `pnpm@${pnpmVersion}`];
}

/** The folder where npx put pnpm. It takes seconds each time to find what it has fetched already, so this is kept. */
function keptPnpm() {
  const place = pnpmPlace();
  return existsSync(place) ? readFileSync(place, 'utf8') : undefined;
}

async function fetchedPnpm() {
  const { out } = await capture([
    'npx',
    '--yes',
    `--package=pnpm@${pnpmVersion}`,
    '--',
    'node',
    '-p',
    'process.env.PATH',
  ]);
  // npm may say more before it.
  const [path = ''] = out.trim().split('\n').slice(-1);
  const folder = path.split(delimiter).find((each) => existsSync(join(each, 'pnpm')));
  if (folder && existsSync(join(root, 'node_modules'))) writeFileSync(pnpmPlace(), folder);
  return folder;
}

async function isPnpm() {
  const { code, out } = await capture(['pnpm', '--version'], 60);
  return code === 0 && out.trim() === pnpmVersion;
}

/** Installs the packages, unless they are as the lock file says and all that were installed are still there. */
async function install() {
  const stamp = join(root, 'node_modules', '.logsnr-stamp');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  const is = () => `${lock} ${installed()}`;
  const was = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (was === is()) return;
  await step('packages', async () => {
    // pnpm looks at its own record and not at the packages, so where some are missing it is told to look.
    const repair = was.startsWith(lock) ? ['--force'] : [];
    const command = [...(await pnpm()), 'install', '--frozen-lockfile', '--reporter=append-only', ...repair];
    const { code, out } = await capture(command);
    if (code !== 0) throw new Error(`pnpm install failed:\n${out}`);
    writeFileSync(stamp, is());
  });
}

/** How many packages are installed: in pnpm's folder, and as links in the folders of the repository's own packages. */
function installed() {
  const names = (folder) => (existsSync(folder) ? readdirSync(folder) : []);
  const own = ['packages', 'examples', 'apps'].flatMap((group) =>
    names(join(root, group)).map((name) => join(root, group, name)),
  );
  const stored = names(join(root, 'node_modules/.pnpm')).map((name) => join(root, 'node_modules/.pnpm', name));
  const folders = [root, join(root, 'bench'), join(root, 'parity'), join(root, 'docs'), ...own, ...stored].flatMap(
    (folder) => {
      const modules = join(folder, 'node_modules');
      return names(modules).flatMap((name) =>
        name.startsWith('@')
          ? names(join(modules, name)).map((inner) => join(modules, name, inner))
          : join(modules, name),
      );
    },
  );
  // And what the packages make of theirs when they are installed.
  const made = join(root, 'packages/tensorflow/stock/out/origin.json');
  return folders.filter((folder) => existsSync(join(folder, 'package.json'))).length + Number(existsSync(made));
}

/** Builds all packages; what did not change comes from turbo's cache. */
async function build() {
  await step('build', async () => {
    const command = [...(await pnpm()), 'exec', 'turbo', 'run', 'build', '--output-logs=errors-only'];
    const { code, out } = await capture(command);
    if (code !== 0) throw new Error(`the build failed:\n${out}`);
  });
}

/** Makes native TensorFlow ready; where it cannot be had, the job goes on without, unless it was asked for by name. */
async function native() {
  const wanted = env.LOGSNR_BACKEND;
  if (wanted && wanted !== 'tensorflow') return;
  await step('TensorFlow', async () => {
    const code = await run([...tsx(), 'packages/tensorflow/src/bin.ts', 'install'], {}, { stdout: 'ignore' });
    if (code !== 0 && wanted) throw new Error('LOGSNR_BACKEND=tensorflow asks for it by name; nothing else is tried.');
    return code === 0 ? '' : ' cannot be used, going on with WebAssembly;';
  });
}

/** Waits for both, also where one fails: nothing is left running behind the message. */
async function both(...works) {
  for (const { status, reason } of await Promise.allSettled(works)) if (status === 'rejected') throw reason;
}

async function step(what, work) {
  const start = performance.now();
  const remark = await work();
  if (interrupted) process.exit(130);
  console.error(`setup: ${what}${remark ?? ''} ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

function start(command, stdio, { more = {}, cwd = root } = {}) {
  const [program, ...rest] = command;
  // On Windows npx and pnpm are scripts, which only a shell can start.
  const child = spawn(program, rest, { cwd, env: { ...env, ...more }, stdio, shell: process.platform === 'win32' });
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** Runs a command in this terminal, with more in its environment; its exit code, or 128 + the number of the signal that ended it. */
function run(command, more = {}, { stdout = 'inherit', cwd } = {}) {
  return new Promise((done) => {
    const child = start(command, ['inherit', stdout, 'inherit'], { more, cwd });
    child.on('error', (error) => {
      console.error(`${command[0]} could not be started: ${error.message}`);
      done(127);
    });
    child.on('close', (code, signal) => done(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/** Runs a command and collects the last of what it prints. It is ended where it takes longer than `seconds`. */
function capture(command, seconds = 3600) {
  return new Promise((done) => {
    const child = start(command, ['ignore', 'pipe', 'pipe']);
    let out = '';
    let late = '';
    setTimeout(() => {
      late = `\n${command.join(' ')} did not end within ${seconds} s.`;
      child.kill();
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    }, 1000 * seconds).unref();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        out = (out + text).slice(-(2 ** 20));
      });
    child.on('error', (error) => done({ code: 127, out: error.message }));
    child.on('close', (code) => done({ code: code ?? 1, out: out + late }));
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
