import { cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatten } from '@logsnr/core';
import { takeLock } from '@logsnr/io/node';
import type { Parameters as Weights } from '@logsnr/nn';
import { type BackendName, useBackend } from '@logsnr/tensorflow';
import {
  adam,
  disposeState,
  NonFiniteError,
  type OptimizeOptions,
  type OptimizeResult,
  optimize,
  powerEma,
  reconstructEma,
} from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Settings } from './manifest.js';
import { loadAverages, stale } from './store.js';
import { type RunOptions, withRun } from './with-run.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'logsnr-run-'));
});
afterAll(() => rm(root, { recursive: true }));

let folders = 0;
const newFolder = () => join(root, `run-${folders++}`);
const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A run of a few hundred weights whose inputs change from step to step. */
async function run(
  folder: string,
  steps: number,
  more: Partial<RunOptions> = {},
  other: Partial<OptimizeOptions<tf.Tensor>> = {},
) {
  const said: string[] = [];
  const parameters = { w: tf.linspace(-1, 1, 300), b: tf.scalar(5) };
  const { signal = new AbortController().signal, ...rest } = more;
  try {
    const result = await withRun(
      {
        folder,
        settings: { seed: 1 },
        save: { steps: 4 },
        logEvery: 2,
        say: (text) => said.push(text),
        signal,
        ...rest,
      },
      (hooks) =>
        optimize({
          parameters,
          loss: ({ w, b }, x) => tf.add(tf.mean(tf.square(tf.sub(w as tf.Tensor, x))), tf.square(b as tf.Tensor)),
          inputs: (step) => tf.scalar(Math.sin(step)),
          optimizer: adam({ learningRate: 0.1 }),
          emaDecay: 0.9,
          steps,
          ...other,
          ...hooks,
        }),
    );
    return { result, said };
  } finally {
    tf.dispose(parameters);
  }
}

/** Everything that must be the same bit for bit. */
function bitsOf({ step, parameters, ema, optimizer, losses, skipped }: OptimizeResult) {
  const values = [parameters, ema ?? {}, optimizer].map((group) =>
    Object.entries(flatten<tf.Tensor>(group)).map(([path, value]) => [path, [...value.dataSync()]]),
  );
  return { step, losses, skipped, values };
}

/** The result of a run, its bits and what it said, with the tensors freed. */
async function bitsAfter(...args: Parameters<typeof run>) {
  const { result, said } = await run(...args);
  const bits = bitsOf(result);
  disposeState(result);
  return { bits, said };
}

const steps = async (folder: string) => (await readdir(join(folder, 'checkpoints'))).sort();

test('the same command goes on, and ends bit for bit where an undisturbed run does', async () => {
  const before = tf.memory().numTensors;
  const [whole, parts] = [newFolder(), newFolder()];
  const undisturbed = await bitsAfter(whole, 20);
  const stop = new AbortController();
  const half = await bitsAfter(parts, 20, {
    signal: stop.signal,
    onStep: ({ step }) => {
      if (step === 7) stop.abort();
    },
  });
  expect(half.bits.step).toBe(7);
  expect(await steps(parts)).toEqual(['step-00000001', 'step-00000004', 'step-00000007']);
  const rest = await bitsAfter(parts, 20);
  expect(rest.said).toEqual([`${join(parts, 'checkpoints', 'step-00000007')}: going on after step 7.`]);
  expect(rest.bits).toEqual(undisturbed.bits);
  expect(await steps(parts)).toEqual(['step-00000012', 'step-00000016', 'step-00000020']);
  // Once more takes no step and changes nothing.
  expect((await bitsAfter(parts, 20)).bits).toEqual(undisturbed.bits);
  expect(await exists(join(parts, 'lock'))).toBe(false);
  expect(tf.memory().numTensors).toBe(before);

  const metrics = async (folder: string) =>
    (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ step, loss }) => [step, loss]);
  expect(await metrics(parts)).toEqual(await metrics(whole));
  expect((await metrics(parts)).map(([step]) => step)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
});

test('an error of a callback or of the data loses no step, and is the error that comes out', async () => {
  const undisturbed = await bitsAfter(newFolder(), 12);
  const fail = () => {
    throw new Error('power cut');
  };
  const faults: [Partial<RunOptions>, Partial<OptimizeOptions<tf.Tensor>>][] = [
    [{ onStep: ({ step }) => (step === 11 ? fail() : undefined) }, {}],
    [{}, { inputs: (step) => (step === 11 ? fail() : tf.scalar(Math.sin(step))) as tf.Tensor }],
    [{}, { inputs: async (step) => (step === 11 ? fail() : tf.scalar(Math.sin(step))) as tf.Tensor }],
  ];
  const before = tf.memory().numTensors;
  for (const [more, other] of faults) {
    const folder = newFolder();
    await expect(run(folder, 12, more, other)).rejects.toThrow('power cut');
    expect((await steps(folder)).at(-1)).toBe('step-00000011');
    expect(await exists(join(folder, 'lock'))).toBe(false);
    const { bits, said } = await bitsAfter(folder, 12);
    expect(bits).toEqual(undisturbed.bits);
    expect(said).toEqual([`${join(folder, 'checkpoints', 'step-00000011')}: going on after step 11.`]);
  }
  expect(tf.memory().numTensors).toBe(before);
});

test('messages that cannot be shown end nothing, whether `say` throws or rejects', async () => {
  const fail = () => {
    throw new Error('nobody listens');
  };
  const kinds: ((text: string) => void)[] = [fail, async () => fail()];
  for (const say of kinds) {
    const folder = newFolder();
    const more = { say, samples: { every: 2, draw: fail } };
    for (const last of [4, 8]) {
      const { result } = await run(folder, last, more);
      expect(result.step).toBe(last);
      disposeState(result);
    }
  }
});

test('stopped before the first step, a run leaves no checkpoint, and begins when it is asked again', async () => {
  const folder = newFolder();
  const stopped = await bitsAfter(folder, 4, { signal: AbortSignal.abort() });
  expect(stopped.bits.step).toBe(0);
  expect(await steps(folder)).toEqual([]);
  expect((await bitsAfter(folder, 4)).bits.step).toBe(4);
});

test('to begin anew waits for the lock: a run that is at work keeps its checkpoints', async () => {
  const folder = newFolder();
  const fresh = { fresh: true };
  const { bits, said } = await bitsAfter(folder, 12, {
    async onStep({ step }) {
      if (step === 5) await expect(run(folder, 4, fresh)).rejects.toThrow(/lock is held by process/);
      // As a hand that tidies up may do; the run makes the folder anew.
      if (step === 9) await rm(join(folder, 'checkpoints'), { recursive: true });
    },
  });
  expect(said).toEqual([]);
  expect(await steps(folder)).toEqual(['step-00000012']);
  await writeFile(join(folder, 'notes.txt'), 'mine');
  const again = await bitsAfter(folder, 12, fresh);
  expect(again).toEqual({ bits, said: [] });
  expect((await readdir(folder)).filter((name) => name.startsWith('events.'))).toHaveLength(1);
  expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
});

test('a message about what is saved names what is there', async () => {
  const folder = newFolder();
  let full = false;
  const { said } = await failing(
    () => full,
    () =>
      bitsAfter(folder, 11, {
        async onStep({ step }) {
          full = step === 8;
          if (step === 7) await rm(join(folder, 'checkpoints', 'step-00000004'), { recursive: true });
        },
      }),
  );
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/the newest checkpoint is that of step 1\./);
});

test('checkpoints are thinned: the newest, and the first of each stretch', () => {
  expect(stale([1, 4, 8, 12, 16], 3)).toEqual([1, 4]);
  expect(stale([1, 4, 8, 12, 16, 21, 25, 31], 2, 10)).toEqual([4, 8, 16]);
  expect(stale([5], 3)).toEqual([]);
});

test('averages that are kept reconstruct another, and say which file was changed', async () => {
  const folder = newFolder();
  const lengths = { short: 0.05, long: 0.1 } as const;
  const rules = { averages: { short: powerEma(lengths.short), long: powerEma(lengths.long), middle: powerEma(0.07) } };
  const { result } = await run(folder, 120, { save: { steps: 50 }, keepAverages: 10 }, rules);
  const kept = await loadAverages(folder);
  expect(kept.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => 10 * (i + 1)));
  const snapshots = kept.flatMap(({ step, averages }) =>
    Object.entries(lengths).map(([name, sigmaRel]) => ({ step, sigmaRel, average: averages[name] as Weights })),
  );
  const made = reconstructEma(snapshots, { step: 120, sigmaRel: 0.07 });
  const distance = (name: string, other: unknown) =>
    tf.tidy(
      () => tf.norm(tf.sub(result.averages?.middle?.[name] as tf.Tensor, other as tf.Tensor)).dataSync()[0] as number,
    );
  expect(distance('w', made.w)).toBeLessThan(0.03 * distance('w', result.averages?.short?.w));
  tf.dispose([made, kept.map(({ averages }) => averages)] as unknown as tf.TensorContainer);
  disposeState(result);
  await expect(loadAverages(newFolder())).rejects.toThrow(/averages holds no averages/);
  await truncate(join(folder, 'averages', 'step-00000050', 'state.safetensors'), 99);
  await expect(loadAverages(folder)).rejects.toThrow(/step-00000050\/state\.safetensors has 99 bytes where/);
});

test('a run with other settings is refused, and told which', async () => {
  const folder = newFolder();
  await bitsAfter(folder, 2, { settings: { seed: 1, batch: 64 } });
  const other = run(folder, 4, { settings: { seed: 2, batch: 64, precision: 'bfloat16' } });
  await expect(other).rejects.toThrow(
    /step-00000002 is of a run with other settings: seed is 2, was 1; precision is "bfloat16", was nothing\. Choose/,
  );
});

test('a run that continues on another backend says so, and its files say which steps were taken on which', async () => {
  const folder = newFolder();
  const backend = tf.getBackend();
  const other = backend === 'cpu' ? 'wasm' : 'cpu';
  await bitsAfter(folder, 4);
  try {
    await useBackend({ backend: other, quiet: true });
    const { said } = await bitsAfter(folder, 8);
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(new RegExp(`step-00000004 was written on the backend "${backend}", .* on "${other}": `));
    expect((await bitsAfter(folder, 12)).said).toHaveLength(1);
  } finally {
    await useBackend({ backend: backend as BackendName, quiet: true });
  }
  const path = join(folder, 'checkpoints', 'step-00000012', 'manifest.json');
  expect(JSON.parse(await readFile(path, 'utf8')).contents.backends).toEqual([
    { from: 1, name: backend },
    { from: 5, name: other },
  ]);
});

test('settings that a file cannot hold are refused before anything is written, by their path', async () => {
  const cyclic: Record<string, unknown> = { seed: 1 };
  cyclic.self = { cyclic };
  const deep = JSON.parse(`${'[{"a":'.repeat(1500)}1${'}]'.repeat(1500)}`);
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ rate: { decay: [1, Number.POSITIVE_INFINITY] } }, /settings\.rate\.decay\.1 is Infinity, which/],
    [{ rate: Number.NaN }, /settings\.rate is NaN/],
    [{ shift: -0 }, /settings\.shift is -0/],
    [{ since: new Date(0) }, /settings\.since is 1970-01-01T00:00:00\.000Z/],
    [{ list: new Array(2) }, /settings\.list is \[ <2 empty items> \]/],
    [{ of: { nothing: undefined } }, /settings\.of\.nothing is undefined/],
    [{ seed: 1n }, /settings\.seed is 1n/],
    [{ map: new Map([[1, 2]]) }, /settings\.map is Map/],
    [cyclic, /settings\.self\.cyclic is/],
    [{ deep }, /^settings are nested more than 100 deep/],
  ];
  for (const [settings, expected] of cases) {
    const folder = newFolder();
    await expect(run(folder, 4, { settings: settings as Settings })).rejects.toThrow(expected);
    expect(await exists(folder)).toBe(false);
  }
  const folder = newFolder();
  const settings = { seed: 0, deep: [{ a: null, b: [1e300, 'x', true] }, {}], __proto__: null };
  const odd: Settings = JSON.parse('{"__proto__": 1, "constructor": [2], "": {"toString": 3}}');
  await expect(run(folder, 4, { settings: settings as never })).rejects.toThrow(/settings is \[Object: null/);
  for (let time = 0; time < 2; time++) await bitsAfter(folder, 4, { settings: odd });
});

describe('faults in the files of a run folder', () => {
  const kinds = ['truncated', 'emptied', 'flipped', 'deleted'] as const;
  /** A folder as a killed run leaves it: three checkpoints, metrics, events, and the lock of a process that is gone. */
  const makeRun = async () => {
    const folder = newFolder();
    await cp(sample, folder, { recursive: true });
    return folder;
  };
  let sample = '';
  beforeAll(async () => {
    sample = newFolder();
    await bitsAfter(sample, 11);
    const path = join(sample, 'lock');
    const lock = await takeLock(path);
    const owner = JSON.parse(await readFile(path, 'utf8'));
    await lock.release();
    await writeFile(path, JSON.stringify({ ...owner, pid: 2 ** 22 + 1 }));
  });
  const filesOf = async (folder: string) => ((await readdir(folder, { recursive: true })) as string[]).sort();

  async function spoil(path: string, kind: (typeof kinds)[number]) {
    const { size } = await stat(path);
    if (kind === 'deleted') return rm(path);
    if (kind === 'emptied') return truncate(path, 0);
    if (kind === 'truncated') return truncate(path, Math.floor(size / 2));
    const file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, Math.floor(size / 2));
    byte[0] = (byte[0] as number) ^ 4;
    await file.write(byte, 0, 1, Math.floor(size / 2));
    await file.close();
  }

  /** The run after the fault ends like the undisturbed one, or with an error that names the file. */
  async function expectResumes(folder: string, path: string) {
    const outcome = await bitsAfter(folder, 14).catch((error: Error) => error);
    if (!(outcome instanceof Error)) expect(outcome.bits).toEqual(undisturbed);
    else expect(outcome.message).toContain(path);
    return outcome instanceof Error ? 'stopped' : outcome.said.join('\n');
  }
  let undisturbed: unknown;
  beforeAll(async () => {
    undisturbed = (await bitsAfter(newFolder(), 14)).bits;
  });

  test('each file, each fault', async () => {
    const before = tf.memory().numTensors;
    const all = await filesOf(sample);
    const events = all.find((name) => name.startsWith('events.')) as string;
    const files: string[] = [];
    for (const name of all) if ((await stat(join(sample, name))).isFile()) files.push(name);
    expect(files.filter((name) => name !== events)).toEqual([
      'checkpoints/step-00000004/manifest.json',
      'checkpoints/step-00000004/state.safetensors',
      'checkpoints/step-00000008/manifest.json',
      'checkpoints/step-00000008/state.safetensors',
      'checkpoints/step-00000011/manifest.json',
      'checkpoints/step-00000011/state.safetensors',
      'lock',
      'metrics.jsonl',
    ]);
    const outcomes: Record<string, string> = {};
    for (const name of files)
      for (const kind of kinds) {
        const folder = await makeRun();
        const path = join(folder, name);
        await spoil(path, kind);
        const said = await expectResumes(folder, path);
        // A broken newest checkpoint is a warning that names the file, not silence.
        if (name.includes('step-00000011')) expect(said).toContain(path);
        if (name.includes('step-00000011')) expect(said).toContain('goes on from step 8.');
        if (name === 'metrics.jsonl' && kind !== 'flipped') expect(said).toContain(path);
        outcomes[`${name} ${kind}`] = said === 'stopped' ? 'stopped' : 'resumed';
        await rm(folder, { recursive: true });
      }
    const stopped = Object.keys(outcomes).filter((name) => outcomes[name] === 'stopped');
    // A lock that cannot be read may be that of a process at work.
    expect(stopped.every((name) => name.startsWith('lock '))).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('files and folders that changed places', async () => {
    const swap = async (a: string, b: string) => {
      await rename(a, `${a}.other`);
      await rename(b, a);
      await rename(`${a}.other`, b);
    };
    const swaps: [string, string, RegExp][] = [
      [
        'step-00000011/state.safetensors',
        'step-00000008/state.safetensors',
        /step-00000011\/state\.safetensors .*goes on from step 4\./,
      ],
      [
        'step-00000011/manifest.json',
        'step-00000008/manifest.json',
        /step-00000011 holds step 8, .*goes on from step 4\./s,
      ],
      ['step-00000011', 'step-00000008', /step-00000011 holds step 8, not .*goes on from step 4\./s],
      [
        'step-00000011/state.safetensors',
        'step-00000011/manifest.json',
        /step-00000011\/manifest\.json .*goes on from step 8\./,
      ],
      ['step-00000004/manifest.json', '../metrics.jsonl', /metrics\.jsonl/],
    ];
    for (const [a, b, expected] of swaps) {
      const folder = await makeRun();
      const at = (name: string) => join(folder, 'checkpoints', name);
      await swap(at(a), at(b));
      expect(await expectResumes(folder, at(a))).toMatch(expected);
    }
  });

  test('no whole checkpoint is left: an error that names each file, and nothing is written over', async () => {
    const folder = await makeRun();
    for (const step of ['04', '08', '11'])
      await spoil(join(folder, 'checkpoints', `step-000000${step}`, 'state.safetensors'), 'flipped');
    const before = await steps(folder);
    await expect(run(folder, 14)).rejects.toThrow(
      /no checkpoint in .* is whole: .*step-00000011\/state\.safetensors was changed .*step-00000004\/state\.safetensors was changed .* delete the folder/,
    );
    expect(await steps(folder)).toEqual(before);
  });

  test('what a write left unfinished is removed; a broken checkpoint is set aside', async () => {
    const folder = await makeRun();
    await mkdir(join(folder, 'checkpoints', 'step-00000012.77-0.tmp'));
    await spoil(join(folder, 'checkpoints', 'step-00000011', 'manifest.json'), 'deleted');
    await bitsAfter(folder, 14);
    expect(await steps(folder)).toEqual(['step-00000008', 'step-00000011.broken', 'step-00000012', 'step-00000014']);
  });

  test('a later format is refused, not taken for damage', async () => {
    const folder = await makeRun();
    const path = join(folder, 'checkpoints', 'step-00000011', 'manifest.json');
    const { createHash } = await import('node:crypto');
    const { contents } = JSON.parse(await readFile(path, 'utf8'));
    contents.format = 'logsnr-run-2';
    const sha256 = createHash('sha256').update(JSON.stringify(contents)).digest('hex');
    await writeFile(path, JSON.stringify({ sha256, contents }));
    await expect(run(folder, 14)).rejects.toThrow(
      /manifest\.json has the format "logsnr-run-2"; .*Use a newer version/,
    );
  });
});

const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
let handles: { write(...args: unknown[]): Promise<unknown> };
beforeAll(async () => {
  const file = await open(join(root, 'probe'), 'w');
  handles = Object.getPrototypeOf(file);
  await file.close();
});

/** Makes the writes of files fail that `when` picks by the number of the write. */
async function failing<T>(when: (n: number) => boolean, body: () => Promise<T>): Promise<T> {
  const { write } = handles;
  let n = 0;
  const spy = vi.spyOn(handles, 'write').mockImplementation(function (this: unknown, ...args: unknown[]) {
    return when(n++) ? Promise.reject(noSpace) : write.apply(this, args);
  });
  try {
    return await body();
  } finally {
    spy.mockRestore();
  }
}

describe('a folder that cannot be written', () => {
  test('is refused before any step', async () => {
    const file = join(root, 'file');
    await writeFile(file, '');
    let taken = 0;
    const onStep = () => void taken++;
    await expect(run(join(file, 'run'), 4, { onStep })).rejects.toThrow(
      /file\/run cannot be written: part of the path is a file\. Choose another folder \(ENOTDIR\)/,
    );
    await expect(
      failing(
        () => true,
        () => run(newFolder(), 4, { onStep }),
      ),
    ).rejects.toThrow(/lock.* cannot be written: the disk is full\. Free some space \(ENOSPC\)/);
    expect(taken).toBe(0);
  });

  test('full at the first checkpoint: the run stops there', async () => {
    const folder = newFolder();
    let writes = 0;
    const stops = failing(
      (n) => {
        writes = n;
        return n > 1;
      },
      () => run(folder, 20),
    );
    await expect(stops).rejects.toThrow(/step-00000001.* cannot be written: the disk is full/);
    expect(writes).toBeLessThan(5);
    expect(await steps(folder)).toEqual([]);
    expect(await exists(join(folder, 'lock'))).toBe(false);
  });

  test('full for a while: a warning, training goes on, the next checkpoint is saved', async () => {
    const folder = newFolder();
    let full = false;
    const before = tf.memory().numTensors;
    const { bits, said } = await failing(
      () => full,
      () =>
        bitsAfter(folder, 12, {
          onStep({ step }) {
            full = step >= 4 && step < 8;
          },
        }),
    );
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /step-00000004.* cannot be written: the disk is full\..* newest checkpoint is that of step 1\./,
    );
    expect(await steps(folder)).toEqual(['step-00000001', 'step-00000008', 'step-00000012']);
    expect(bits).toEqual((await bitsAfter(newFolder(), 12)).bits);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('full at the end: an error that says what is saved; later the run goes on from there', async () => {
    const folder = newFolder();
    let full = false;
    const onStep = ({ step }: { step: number }) => {
      full = step >= 9;
    };
    await expect(
      failing(
        () => full,
        () => run(folder, 11, { onStep, patience: 0 }),
      ),
    ).rejects.toThrow(
      /the disk is full\..* The state of step 11 is not saved; the newest checkpoint is that of step 8\./,
    );
    expect((await bitsAfter(folder, 11)).bits).toEqual((await bitsAfter(newFolder(), 11)).bits);
  });
});

test('full at the end, then not: the run waits for space and saves', async () => {
  const folder = newFolder();
  const { write } = handles;
  let full = false;
  const spy = vi.spyOn(handles, 'write').mockImplementation(function (this: unknown, ...args: unknown[]) {
    return full ? Promise.reject(noSpace) : write.apply(this, args);
  });
  try {
    const { said } = await bitsAfter(folder, 11, {
      onStep({ step }) {
        full = step >= 9;
        if (step === 11)
          setTimeout(() => {
            full = false;
          }, 300);
      },
    });
    expect(said.at(-1)).toMatch(
      /the disk is full\..* Waiting for space for up to 600 s, so that step 11 is not lost\./,
    );
    expect((await steps(folder)).at(-1)).toBe('step-00000011');
  } finally {
    spy.mockRestore();
  }
});

test('steps that are not finite: the last good state is saved, and the same command stops at the same step', async () => {
  const folder = newFolder();
  const bad = { skipLimit: 3, inputs: (step: number) => tf.scalar(step >= 6 ? Number.NaN : 1) };
  for (let time = 0; time < 2; time++) await expect(run(folder, 20, {}, bad)).rejects.toThrow(NonFiniteError);
  expect((await steps(folder)).at(-1)).toBe('step-00000008');
  const { bits } = await bitsAfter(
    folder,
    20,
    {},
    { skipLimit: 5, inputs: (step) => tf.scalar(step === 9 ? Number.NaN : 1) },
  );
  expect(bits.skipped).toEqual([7, 8, 10]);
});

describe('one process at a time', () => {
  test('a second one is refused while the first is at work', async () => {
    const folder = newFolder();
    await bitsAfter(folder, 4, {
      async onStep({ step }) {
        if (step !== 2) return;
        await expect(run(folder, 4)).rejects.toThrow(
          new RegExp(`lock is held by process ${process.pid}, which trains in this folder since `),
        );
      },
    });
  });

  test('a lock that was taken away stops the run before it writes', async () => {
    const folder = newFolder();
    await expect(
      run(folder, 8, {
        async onStep({ step }) {
          if (step === 3) await rm(join(folder, 'lock'));
        },
      }),
    ).rejects.toThrow(/lock is no longer this process's/);
    expect(await steps(folder)).toEqual(['step-00000001']);
  });
});
