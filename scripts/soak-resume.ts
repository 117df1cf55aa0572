// Kills a training run again and again (SIGKILL, at random moments, in the middle of a write too), lets it go on each
// time by the same command, and compares what comes out with a run that nobody disturbed, byte by byte.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { key, uniforms } from '@logsnr/core';
import { cifar10Files, writeFiles } from '../test/cifar10-files.js';
import { compareRuns } from './compare-runs.js';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    kills: { type: 'string', default: '30' },
    steps: { type: 'string' },
    seed: { type: 'string', default: '0' },
    eager: { type: 'boolean', default: false },
    unet: { type: 'boolean', default: false },
    images: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`pnpm soak:resume [--kills N] [--steps S] [--seed n] [--unet | --images] [--eager] [--keep]

Trains a small network for S steps undisturbed, then again with N kills, and compares all bytes of the last checkpoints.
--unet trains a small U-Net instead of a dense network, --images one on a folder of images made of CIFAR-10; --eager runs without compiled graphs; --keep leaves the two run folders.`);
  process.exit(0);
}
const [kills, seed] = [Number(values.kills), Number(values.seed)];
const steps = Number(values.steps ?? 200 + 40 * kills);
if (![kills, seed, steps].every((n) => Number.isSafeInteger(n) && n >= 0) || kills < 1 || steps < 20 + kills)
  throw new RangeError('--kills and --steps are integers of at least 1 and 20 + kills, --seed one of at least 0.');

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-soak-'));
const [undisturbed, disturbed] = [join(folder, 'undisturbed'), join(folder, 'disturbed')];
const checkpoints = join(disturbed, 'checkpoints');
const images = join(folder, 'images');
if (values.images) writeFiles(images, await cifar10Files(200));

/** A training process, which waits to be killed after step `pause`. */
function start(run: string, pause?: number) {
  const modes = (['eager', 'unet'] as const).filter((mode) => values[mode]);
  const args = [
    '--import',
    'tsx',
    join(root, 'scripts/soak-worker.ts'),
    run,
    String(steps),
    ...modes,
    ...(values.images ? [`images=${images}`] : []),
    ...(pause ? [`pause=${pause}`] : []),
  ];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const lines = createInterface(child.stdout);
  return {
    child,
    // Both resolve at the end of a process too, so that nobody waits for one that is gone.
    firstStep: new Promise<void>((done) => {
      lines.once('line', () => done());
      child.once('close', () => done());
    }),
    over: new Promise<void>((done) => {
      lines.on('line', (line) => line === 'paused' && done());
      child.once('close', () => done());
    }),
    ended: once(child, 'close').then(([code, signal]) => ({ code, signal, errors })),
  };
}

/** Waits for the next unfinished checkpoint to appear, or until the process goes no further. */
function writing(over: Promise<unknown>): Promise<void> {
  return new Promise((done) => {
    if (!existsSync(checkpoints)) return done();
    const watcher = watch(checkpoints, (_, name) => {
      if (name?.endsWith('.tmp')) finish();
    });
    const finish = () => {
      watcher.close();
      done();
    };
    over.then(finish);
  });
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const fail = (what: string): never => {
  throw new Error(`${what}\nThe run folders are in ${folder}.`);
};

const began = performance.now();
const whole = start(undisturbed);
await whole.firstStep;
const firstStep = performance.now();
const { code, errors } = await whole.ended;
if (code !== 0) fail(`the undisturbed run ended with ${code}: ${errors}`);
const [startup, duration] = [firstStep - began, performance.now() - firstStep];
console.log(
  `undisturbed: ${steps} steps, ${(startup / 1000).toFixed(1)} s to the first one, ${(duration / 1000).toFixed(1)} s after it`,
);

/** Where to stop at the latest, so that steps are left for the kills to come, however fast the machine is just now. */
function shareOf(killsLeft: number): number {
  const saved = existsSync(checkpoints)
    ? readdirSync(checkpoints).map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0))
    : [];
  const newest = Math.max(0, ...saved);
  return Math.min(steps - 1, newest + Math.max(1, Math.floor((steps - 1 - newest) / killsLeft)));
}

// Kinds of moments in turn: any time while running, in the middle of a write, while starting.
const longest = duration / kills;
const seen = { running: 0, writing: 0, starting: 0 };
let [halves, locks] = [0, 0];
for (let i = 0; i < kills; i++) {
  const [u = 0] = uniforms(key(seed + i), 1);
  const kind = (['running', 'writing', 'starting'] as const)[i % 3] as keyof typeof seen;
  const { child, firstStep, over, ended } = start(disturbed, shareOf(kills - i));
  if (kind === 'starting') await Promise.race([pause(u * startup * 1.2), over]);
  else {
    await firstStep;
    await Promise.race([pause(u * longest), over]);
    if (kind === 'writing') {
      await writing(over);
      await pause(u * 4);
    }
  }
  child.kill('SIGKILL');
  const { signal, code, errors } = await ended;
  if (signal !== 'SIGKILL') fail(`the run ended by itself with ${code}: ${errors}`);
  seen[kind]++;
  if (existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.endsWith('.tmp'))) halves++;
  if (existsSync(join(disturbed, 'lock'))) locks++;
}
console.log(
  `killed ${kills} times: ${seen.running} while running, ${seen.writing} at a write, ${seen.starting} while starting; ${halves} left an unfinished checkpoint, ${locks} a lock`,
);
const last = await start(disturbed).ended;
if (last.code !== 0) fail(`the last start ended with ${last.code}: ${last.errors}`);

try {
  console.log(compareRuns(undisturbed, disturbed, steps));
} catch (error) {
  fail((error as Error).message);
}
if (values.keep) console.log(folder);
else rmSync(folder, { recursive: true });
