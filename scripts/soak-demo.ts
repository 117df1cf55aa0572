// Interrupts `npm run demo` again and again while it trains, as users and machines do, lets it go on each time by the same
// command, and compares what comes out with a run that nobody disturbed, byte by byte.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { key, uniforms } from '@logsnr/core';
import { compareRuns } from './compare-runs.js';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    each: { type: 'string', default: '5' },
    steps: { type: 'string' },
    batch: { type: 'string', default: '64' },
    backend: { type: 'string', default: 'tensorflow' },
    seed: { type: 'string', default: '0' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`pnpm soak:demo [--each N] [--steps S] [--batch B] [--backend tensorflow|wasm|cpu] [--seed n] [--keep]

Trains by \`npm run demo\` for S steps of B images undisturbed, then again with N interruptions of each kind in turn: Ctrl-C (SIGINT to
all processes of the terminal), SIGTERM to npm alone, a closed terminal (SIGHUP to all), SIGKILL to all. The first three
must save the step under way; SIGKILL may lose what is newer than the newest checkpoint. The final checkpoints must be equal in every byte.
--keep leaves the run folders.`);
  process.exit(0);
}
const [each, seed] = [Number(values.each), Number(values.seed)];
const steps = Number(values.steps ?? 12 * each + 20);
if (![each, seed, steps].every((n) => Number.isSafeInteger(n) && n >= 0) || each < 1 || steps < 1)
  throw new RangeError('--each and --steps are integers of at least 1, --seed one of at least 0.');

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-soak-demo-'));
const [undisturbed, disturbed] = [join(folder, 'undisturbed'), join(folder, 'disturbed')];
const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

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

const newest = () =>
  Math.max(
    0,
    ...readdirSync(join(disturbed, 'checkpoints')).map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0)),
  );

const fail = (what: string): never => {
  throw new Error(`${what}\nThe run folders are in ${folder}.`);
};

const began = performance.now();
const whole = demo(undisturbed);
const code = await whole.ended;
if (code !== 0) fail(`the undisturbed run ended with ${code}: ${whole.said()}`);
console.log(`undisturbed: ${steps} steps, ${((performance.now() - began) / 1000).toFixed(0)} s in all`);

const kinds = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;
const counts = { SIGINT: 0, SIGTERM: 0, SIGHUP: 0, SIGKILL: 0 };
let lost = 0;
let step = 0;
for (let i = 0; i < 4 * each; i++) {
  const kind = kinds[i % 4] as (typeof kinds)[number];
  const { child, group, trains, ended, said } = demo(disturbed);
  await trains;
  // Early enough that the steps suffice for the interruptions to come.
  const [u = 0] = uniforms(key(seed + i), 1);
  await pause(u * (step * 4 * each < steps * i ? 1500 : 300));
  try {
    process.kill(kind === 'SIGTERM' ? (child.pid as number) : group, kind);
  } catch {
    fail(`the run ended by itself before ${kind} ${i}; give more --steps. ${said()}`);
  }
  const code = await ended;
  if (code === 0) fail(`${kind} ${i} came after the end; give more --steps.`);
  const now = newest();
  if (kind === 'SIGKILL') {
    if (now < step) fail(`SIGKILL lost checkpoint ${step}; the newest is ${now}: ${said()}`);
  } else {
    const saved = Number(/saved step (\d+)\. Run the same command again/.exec(said())?.[1]);
    if (saved !== now || now <= step) {
      lost++;
      console.log(`${kind} ${i}: said it saved step ${saved}, found ${now}, before it ${step}\n${said()}`);
    }
  }
  step = now;
  counts[kind]++;
  if ((i + 1) % 20 === 0) console.log(`${i + 1} interruptions, step ${step}, ${lost} lost something`);
}
const told = kinds.map((kind) => `${counts[kind]} × ${kind}`).join(', ');
console.log(`interrupted on ${values.backend}: ${told}; ${lost} of the first three lost a step`);
const last = demo(disturbed);
const lastCode = await last.ended;
if (lastCode !== 0) fail(`the last start ended with ${lastCode}: ${last.said()}`);
try {
  console.log(compareRuns(undisturbed, disturbed, steps));
} catch (error) {
  fail((error as Error).message);
}
if (lost > 0) fail('an interruption lost steps');
if (values.keep) console.log(folder);
else rmSync(folder, { recursive: true });
