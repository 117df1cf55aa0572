import fs, { cp, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatten } from '@logsnr/core';
import { adam, disposeState, ema, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAverages } from './store.js';
import { withRun } from './with-run.js';

// Each operation on files that a run does fails once, in turn: as a disk fails, or as a killed process stops.

type Operation = (...args: unknown[]) => Promise<unknown>;
type Fault = 'EIO' | 'ENOSPC' | 'EACCES' | 'killed';

let root = '';
let handle: Record<string, Operation>;
/** What happens to each operation, while a run is tried. */
let meddle:
  | ((name: string, args: unknown[], real: (args: unknown[]) => Promise<unknown>) => Promise<unknown>)
  | undefined;
const restore: (() => void)[] = [];

beforeAll(async () => {
  // In memory where there is a disk of it: hundreds of runs are written.
  root = await mkdtemp('/dev/shm/logsnr-faults-').catch(() => mkdtemp(join(tmpdir(), 'logsnr-faults-')));
  const file = await open(join(root, 'probe'), 'w');
  handle = Object.getPrototypeOf(file);
  await file.close();
  const own = ['read', 'write', 'appendFile', 'sync', 'stat', 'truncate'];
  const all = Object.keys(fs).filter((name) => typeof fs[name as never] === 'function');
  for (const [on, names] of [
    [fs as unknown as Record<string, Operation>, all],
    [handle, own],
  ] as const)
    for (const name of names) {
      const real = on[name] as Operation;
      on[name] = function (this: unknown, ...args) {
        // No power is cut here, so nothing need reach the disk.
        const call = async (given: unknown[]) => (name === 'sync' ? undefined : real.apply(this, given));
        return meddle ? meddle(name, args, call) : call(args);
      };
      restore.push(() => {
        on[name] = real;
      });
    }
  syncBuiltinESMExports();
});
afterAll(async () => {
  for (const undo of restore) undo();
  syncBuiltinESMExports();
  await rm(root, { recursive: true });
});

/** Fails the operation number `at`; a write gets half of its bytes down. After `killed` nothing works any more. */
function failing(at: number, fault: Fault) {
  let [n, dead] = [0, false];
  const seen: string[] = [];
  meddle = async (name, args, real) => {
    seen.push(name);
    const now = n++ === at;
    dead ||= now && fault === 'killed';
    if (!now && !dead) return real(args);
    const [bytes, from, length] = args as [Uint8Array, number | undefined, number | undefined];
    if (now && name === 'appendFile') await real([bytes.subarray(0, bytes.length >> 1)]);
    if (now && name === 'write') await real([bytes, from, (length ?? bytes.length) >> 1]);
    const [path = ''] = args.filter((arg) => typeof arg === 'string');
    throw Object.assign(new Error(`${fault}: ${name} ${path}`), { code: fault });
  };
  return seen;
}

/** A run of a few steps in which everything is written that a run writes. */
async function run(folder: string, steps: number, said: string[] = []) {
  const parameters = { w: tf.linspace(-1, 1, 30) };
  const result = await withRun(
    {
      folder,
      settings: { seed: 1 },
      save: { steps: 2 },
      keep: { last: 2 },
      keepAverages: 3,
      logEvery: 1,
      patience: 0,
      samples: { every: 3, draw: ({ step }) => ({ png: Uint8Array.of(step), width: 1, height: 1 }) },
      say: (text) => said.push(text),
      signal: new AbortController().signal,
    },
    (hooks) =>
      optimize({
        parameters,
        loss: ({ w }, x: tf.Tensor) => tf.mean(tf.squaredDifference(w as tf.Tensor, x)),
        inputs: (step): tf.Tensor => tf.scalar(Math.sin(step)),
        optimizer: adam({ learningRate: 0.1 }),
        averages: { short: ema(0.9) },
        steps,
        ...hooks,
      }),
  ).finally(() => tf.dispose(parameters));
  const bits = Object.entries(
    flatten<tf.Tensor>({ ...result.parameters, ...result.averages, ...result.optimizer }),
  ).map(([path, value]) => [path, ...value.dataSync()]);
  disposeState(result);
  return { step: result.step, losses: result.losses, bits };
}

const checkpoints = async (folder: string) =>
  (await readdir(join(folder, 'checkpoints')).catch(() => [])).filter((name) => /^step-\d+$/.test(name)).sort();

/** As after the end of the process that has the lock: this one goes on. */
async function bury(lock: string) {
  const text = await readFile(lock, 'utf8').catch(() => undefined);
  if (text !== undefined) await writeFile(lock, text.replace(/"pid":\d+/, `"pid":${2 ** 22 + 1}`));
}

/** Fails the operations of a run of `steps` steps one after the other, and expects that nothing is lost by it. */
async function eachFails(fault: Fault, steps: number, from?: string): Promise<string[]> {
  const undisturbed = await run(join(root, `whole-${fault}-${steps}`), steps);
  const folder = join(root, `run-${fault}-${steps}`);
  const failed: string[] = [];
  for (let at = 0; ; at++) {
    await rm(folder, { recursive: true, force: true });
    if (from) await cp(from, folder, { recursive: true });
    const seen = failing(at, fault);
    const told: string[] = [];
    const said: string[] = [];
    const outcome = await run(folder, steps, told).catch((error: Error) => error);
    meddle = undefined;
    if (at >= seen.length) return failed;
    failed.push(seen[at] as string);
    const where = `${fault} at operation ${at}, ${seen[at]}`;
    if (!(outcome instanceof Error)) expect(outcome, where).toEqual(undisturbed);
    else if (fault !== 'killed') expect(outcome.message, where).toContain(folder);
    if (from) expect((await checkpoints(folder)).at(-1)?.localeCompare('step-00000002'), where).not.toBe(-1);
    await bury(join(folder, 'lock'));
    expect(await run(folder, steps, said).catch(String), where).toEqual(undisturbed);
    expect([told, said].join(), where).not.toContain('.broken');
    const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const losses = lines.map((line) => JSON.parse(line).loss);
    expect(losses, where).toEqual(undisturbed.losses);
    const warned = told.join().includes('goes on without the averages of step 3') && fault !== 'killed';
    const kept = steps > 3 && !warned;
    const averages = await loadAverages(folder).catch(() => []);
    expect(
      averages.map(({ step }) => step),
      where,
    ).toEqual(kept ? [3] : []);
    tf.dispose(averages.map((own) => own.averages) as unknown as tf.TensorContainer);
    const files = (await readdir(folder, { recursive: true })).filter((name) => !name.startsWith('lock'));
    expect(files.join(), where).not.toContain('.tmp');
  }
}

test.each(['EIO', 'ENOSPC', 'EACCES', 'killed'] as const)(
  'whichever operation on files fails (%s), nothing older is lost, and the next run ends with the same bits',
  async (fault) => {
    const before = tf.memory().numTensors;
    const half = join(root, `half-${fault}`);
    await run(half, 2);
    const failed = [...(await eachFails(fault, 1)), ...(await eachFails(fault, 4, half))];
    expect(failed.length).toBeGreaterThan(150);
    for (const name of ['mkdir', 'open', 'write', 'appendFile', 'sync', 'rename', 'link', 'rm', 'read'])
      expect(failed).toContain(name);
    expect(tf.memory().numTensors).toBe(before);
  },
  120_000,
);
