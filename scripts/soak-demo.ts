// Interrupts `npm run demo` again and again while it trains, as users and machines do, lets it go on each time by the same
// command, and compares what comes out with a run that nobody disturbed, byte by byte.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { key, uniforms } from '@logsnr/core';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import { compareRuns } from './compare-runs.js';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    each: { type: 'string', default: '5' },
    steps: { type: 'string', default: '100' },
    batch: { type: 'string', default: '64' },
    backend: { type: 'string', default: 'tensorflow' },
    seed: { type: 'string', default: '0' },
    folder: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`pnpm soak:demo [--each N] [--steps S] [--batch B] [--backend tensorflow|wasm|cpu] [--seed n] [--folder DIR]

Trains by \`npm run demo\` for S steps of B images undisturbed, then again and again with interruptions of four kinds in turn, N of each in
all: Ctrl-C (SIGINT to all processes of the terminal), SIGTERM to npm alone, a closed terminal (SIGHUP to all), SIGKILL to all. The first
three must save the step under way; SIGKILL may lose what is newer than the newest checkpoint. Each training that comes to its end must have
the undisturbed one's final checkpoint, equal in every byte; then the next begins.
With --folder the runs are kept there, and the same command goes on where it was ended.`);
  process.exit(0);
}
const [each, seed, steps] = [Number(values.each), Number(values.seed), Number(values.steps)];
if (![each, seed, steps].every((n) => Number.isSafeInteger(n) && n >= 0) || each < 1 || steps < 1)
  throw new RangeError('--each and --steps are integers of at least 1, --seed one of at least 0.');

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = values.folder ? resolve(values.folder) : mkdtempSync(join(tmpdir(), 'logsnr-soak-demo-'));
const [undisturbed, disturbed, record] = ['undisturbed', 'disturbed', 'soak.json'].map((name) =>
  join(folder, name),
) as [string, string, string];
const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

const kinds = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;
const settings = { steps, batch: values.batch, backend: values.backend, seed };
/** What was done: interruptions of each kind, trainings that came to their end, and interruptions that lost something. */
const state = { settings, counts: [0, 0, 0, 0], trainings: 0, lost: 0, step: 0 };
if (existsSync(record)) {
  const saved = JSON.parse(readFileSync(record, 'utf8'));
  if (!isDeepStrictEqual(saved.settings, settings))
    throw new RangeError(
      `${folder} is of a soak with ${JSON.stringify(saved.settings)}; give these, or another --folder.`,
    );
  Object.assign(state, saved);
}
const keep = () => replaceFile(record, piecesOf(`${JSON.stringify(state)}\n`));

/** The demo as the leader of a group of processes, as a terminal's job is. */
function demo(out: string) {
  const small =
    `--training-steps ${steps} --batch ${values.batch} --judge-steps 5 --samples 20 --steps 2 --w 0 --progress json`.split(
      ' ',
    );
  const child = spawn('npm', ['run', 'demo', '--', '--out', out, ...small], {
    cwd: root,
    detached: true,
    env: { ...process.env, LOGSNR_BACKEND: values.backend },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const trains = new Promise<void>((done) => {
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (said.includes('{"label":"training"')) done();
    });
    child.once('close', () => done());
  });
  const group = -(child.pid as number);
  // The last process that holds the pipe closes it, also one that npm did not wait for.
  return { child, group, trains, ended: once(child, 'close').then(([code]) => code), said: () => said };
}

function newest(): number {
  const checkpoints = join(disturbed, 'checkpoints');
  const names = existsSync(checkpoints) ? readdirSync(checkpoints) : [];
  return Math.max(0, ...names.map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0)));
}

const fail = (what: string): never => {
  throw new Error(`${what}\nThe run folders are in ${folder}.`);
};

/** Runs to the end. */
async function whole(out: string): Promise<void> {
  const { ended, said } = demo(out);
  const code = await ended;
  if (code !== 0) fail(`the run of ${out} ended with ${code}: ${said()}`);
}

/** The interrupted training is over: it must have become what the undisturbed one did. */
async function compare(): Promise<void> {
  try {
    console.log(compareRuns(undisturbed, disturbed, steps));
  } catch (error) {
    fail((error as Error).message);
  }
  rmSync(disturbed, { recursive: true });
  Object.assign(state, { trainings: state.trainings + 1, step: 0 });
  await keep();
}

mkdirSync(folder, { recursive: true });
const began = performance.now();
await whole(undisturbed);
console.log(`undisturbed: ${steps} steps, ${((performance.now() - began) / 1000).toFixed(0)} s in all`);

const done = () => state.counts.reduce((sum, count) => sum + count, 0);
while (done() < 4 * each) {
  const i = done();
  const kind = kinds[i % 4] as (typeof kinds)[number];
  const { child, group, trains, ended, said } = demo(disturbed);
  await trains;
  const [u = 0] = uniforms(key(seed + i), 1);
  await pause(u * 300);
  let alone = false;
  try {
    process.kill(kind === 'SIGTERM' ? (child.pid as number) : group, kind);
  } catch {
    alone = true;
  }
  await ended;
  const now = newest();
  if (alone && now < steps) fail(`the run ended by itself at step ${now}: ${said()}`);
  if (now >= steps) {
    // It came when the training was over, so it does not count.
    await compare();
    continue;
  }
  if (kind === 'SIGKILL') {
    if (now < state.step) fail(`SIGKILL lost checkpoint ${state.step}; the newest is ${now}: ${said()}`);
  } else {
    const saved = Number(/saved step (\d+)\. Run the same command again/.exec(said())?.[1]);
    if (saved !== now || now <= state.step) {
      state.lost++;
      console.log(`${kind} ${i}: said it saved step ${saved}, found ${now}, before it ${state.step}\n${said()}`);
    }
  }
  state.step = now;
  state.counts[i % 4] = (state.counts[i % 4] as number) + 1;
  await keep();
  if (done() % 20 === 0) console.log(`${done()} interruptions, step ${now}, ${state.lost} lost something`);
}
if (state.step > 0) {
  await whole(disturbed);
  await compare();
}
const told = kinds.map((kind, i) => `${state.counts[i]} × ${kind}`).join(', ');
console.log(
  `interrupted on ${values.backend}: ${told}; ${state.lost} of the first three lost a step; trainings that came out equal: ${state.trainings}`,
);
if (state.lost > 0) fail('an interruption lost steps');
if (!values.folder) rmSync(folder, { recursive: true });
