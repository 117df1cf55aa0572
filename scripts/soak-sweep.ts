// Kills the processes of a sweep again and again (SIGKILL, at random moments, in the middle of a write too), starts each anew by the
// same command, and compares what comes out with a sweep that nobody disturbed, byte by byte.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { key, uniforms } from '@logsnr/core';
import { useBackend } from '@logsnr/tensorflow';
import { writeTinyModel } from '../packages/cli/test/tiny-model.js';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    kills: { type: 'string', default: '10' },
    processes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '0' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`pnpm soak:sweep [--kills N] [--processes P] [--seed n] [--keep]

Sweeps two tiny models undisturbed, then again with P processes that share the folder and N kills, and compares all bytes of tables,
pictures and cells (but for the seconds that a cell took). --keep leaves the folders.`);
  process.exit(0);
}
const [kills, processes, seed] = [Number(values.kills), Number(values.processes), Number(values.seed)];
if (![kills, processes, seed].every((n) => Number.isSafeInteger(n) && n >= 0) || kills < 1 || processes < 1)
  throw new RangeError('--kills and --processes are integers of at least 1, --seed one of at least 0.');

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-soak-sweep-'));
const [undisturbed, disturbed] = [join(folder, 'undisturbed'), join(folder, 'disturbed')];
const models = [0.1, 0.5].map((pUncond) => ({ pUncond, path: join(folder, `p${pUncond}`) }));
await useBackend({ quiet: true });
for (const [seed, { path, pUncond }] of models.entries()) await writeTinyModel(path, { seed, pUncond });
// At least two cells for each kill, so that there is work left for the last one.
const weights = Array.from({ length: Math.max(2, Math.ceil(kills / 2)) }, (_, i) => i / 2);
const total = models.length * weights.length * 2;

/** A process of the sweep. */
function start(out: string) {
  const args = [
    ...['--import', 'tsx', 'packages/cli/src/bin.ts', 'sweep', ...models.map(({ path }) => path), '--out', out],
    ...['--w', weights.join(','), '--steps', '3,4', '--samples', '40', '--batch', '20', '--reference', 'mnist:test:60'],
  ];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said.err += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }));
  return { child, said, ended };
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const fail = (what: string): never => {
  throw new Error(`${what}\nThe folders are in ${folder}.`);
};
const cellsOf = (out: string, end: string) => {
  const cells = join(out, 'cells');
  return existsSync(cells) ? readdirSync(cells).filter((name) => name.endsWith(end)) : [];
};

/** Resolves when `fits` does, looked at every few milliseconds, or the process is gone. */
async function until(fits: () => boolean, { child }: ReturnType<typeof start>): Promise<void> {
  while (!fits() && child.exitCode === null) await pause(5);
}

/** Waits for the next unfinished file beside the cells or the tables, or until the process is gone. */
function writing({ ended }: ReturnType<typeof start>): Promise<void> {
  return new Promise((done) => {
    const watchers = [disturbed, join(disturbed, 'cells')]
      .filter(existsSync)
      .map((path) => watch(path, (_, name) => name?.endsWith('.tmp') && finish()));
    const finish = () => {
      for (const watcher of watchers) watcher.close();
      done();
    };
    ended.then(finish);
    if (watchers.length === 0) finish();
  });
}

const began = performance.now();
const whole = start(undisturbed);
await until(() => cellsOf(undisturbed, '.lock').length > 0, whole);
const firstCell = performance.now();
const { code, err, out: table } = await whole.ended;
if (code !== 0) fail(`the undisturbed sweep ended with ${code}: ${err}`);
const [startup, duration] = [firstCell - began, performance.now() - firstCell];
console.log(
  `undisturbed: ${total} cells, ${(startup / 1000).toFixed(1)} s to the first one, ${(duration / 1000).toFixed(1)} s after it`,
);

// Kinds of moments in turn: any time while computing, in the middle of a write, while starting.
const seen = { computing: 0, writing: 0, starting: 0 };
const kinds = Object.keys(seen) as (keyof typeof seen)[];
let [halves, locks] = [0, 0];
const running = Array.from({ length: processes }, () => start(disturbed));
const draws = uniforms(key(seed), 2 * kills);
for (let i = 0; i < kills; i++) {
  const [u = 0, which = 0] = [draws[2 * i], draws[2 * i + 1]];
  const victim = Math.floor(which * processes);
  // No more is done by then than leaves work for the kills to come, however fast the machine is just now.
  const most = Math.floor((total * (i + 1)) / (kills + 1));
  let one = running[victim] as ReturnType<typeof start>;
  // One that ended before its turn came starts anew: it finds all done, and writes the tables again.
  if (one.child.exitCode !== null) {
    const { code, err } = await one.ended;
    if (code !== 0) fail(`a process ended by itself with ${code}: ${err}`);
    one = start(disturbed);
    running[victim] = one;
  }
  let kind = kinds[i % 3] as keyof typeof seen;
  const enough = until(() => cellsOf(disturbed, '.json').length >= most, one);
  if (kind === 'starting') await Promise.race([pause(u * startup), enough]);
  else {
    await until(() => one.said.err.includes(' images'), one);
    await Promise.race([pause((u * duration) / kills), enough]);
    if (kind === 'writing') {
      await writing(one);
      await pause(u * 4);
    }
  }
  if (one.child.exitCode !== null) {
    // It was faster; it is killed while it starts again.
    kind = 'starting';
    one = start(disturbed);
    await pause((u * startup) / 2);
  }
  one.child.kill('SIGKILL');
  const { signal, code, err } = await one.ended;
  if (signal !== 'SIGKILL') fail(`a process ended by itself with ${code}: ${err}`);
  seen[kind]++;
  if (cellsOf(disturbed, '.tmp').length > 0) halves++;
  if (cellsOf(disturbed, '.lock').length > 0 || existsSync(join(disturbed, 'sweep.lock'))) locks++;
  running[victim] = start(disturbed);
}
console.log(
  `killed ${kills} times of ${processes} process${processes > 1 ? 'es' : ''}: ${seen.computing} while computing, ${seen.writing} at a write, ${seen.starting} while starting; ${halves} left an unfinished file, ${locks} a lock`,
);
const ends = await Promise.all(running.map(({ ended }) => ended));
for (const { code, err } of ends) if (code !== 0) fail(`a last process ended with ${code}: ${err}`);

/** A file without the seconds that cells took. */
function bytesOf(out: string, name: string): Buffer {
  const bytes = readFileSync(join(out, name));
  if (!/\.(json|csv)$/.test(name)) return bytes;
  const timeless = bytes.toString().replaceAll(/"seconds": [\d.]+/g, '"seconds"');
  return Buffer.from(name === 'sweep.csv' ? timeless.replaceAll(/,[\d.]+$/gm, '') : timeless);
}
// A process that was killed may leave the lock of a cell that it had done.
const filesOf = (out: string) =>
  (readdirSync(out, { recursive: true }) as string[])
    .filter((name) => /\.\w+$/.test(name) && !/\.(tmp|lock)$/.test(name))
    .sort();
const [files, others] = [filesOf(undisturbed), filesOf(disturbed)];
if (String(files) !== String(others)) fail(`the sweeps have different files: ${files}; ${others}`);
const different = files.filter((name) => !bytesOf(undisturbed, name).equals(bytesOf(disturbed, name)));
if (different.length > 0) fail(`different bytes: ${different.join(', ')}`);
if (!ends.some(({ out }) => out === table)) fail(`another table: ${ends.map(({ out }) => out).join('\n')}`);
console.log(`compared ${files.length} files of ${total} cells: 0 differ; the table is the same`);
if (values.keep) console.log(folder);
else rmSync(folder, { recursive: true });
