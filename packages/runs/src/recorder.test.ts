import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adam, disposeState, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import protobuf from 'protobufjs/light.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { crc32c, openEvents } from './events.js';
import { openRecorder } from './recorder.js';
import { withRun } from './with-run.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'logsnr-recorder-'));
});
afterAll(() => rm(root, { recursive: true }));

test("CRC-32C is RFC 3720's", () => {
  const [zeros, ones, rising] = [
    new Uint8Array(32),
    new Uint8Array(32).fill(255),
    Uint8Array.from({ length: 32 }, (_, i) => i),
  ];
  expect([zeros, ones, rising].map((bytes) => crc32c(bytes))).toEqual([0x8a9136aa, 0x62a8ab43, 0x46dd794e]);
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
});

/** The records of an event file, checked and read with field numbers alone. */
async function eventsOf(path: string) {
  const bytes = await readFile(path);
  const events: { step: number; tags: Record<string, number | Uint8Array>; version?: string; restart: boolean }[] = [];
  const unmasked = (value: number) => {
    const rotated = (value - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(unmasked(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmasked(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    at += 16 + length;
    events.push(eventOf(data));
  }
  return events;
}

function fields(data: Uint8Array, on: (field: number, reader: protobuf.Reader) => boolean): void {
  const reader = protobuf.Reader.create(data);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!on(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
}

function eventOf(data: Uint8Array) {
  const event: { step: number; tags: Record<string, number | Uint8Array>; version?: string; restart: boolean } = {
    step: 0,
    tags: {},
    restart: false,
  };
  fields(data, (field, reader) => {
    if (field === 2) event.step = Number(reader.int64());
    else if (field === 3) event.version = reader.string();
    else if (field === 7) event.restart = reader.bytes().join() === '8,1';
    else if (field === 5)
      fields(reader.bytes(), (_, summary) => {
        let [tag, value]: [string, number | Uint8Array] = ['', Number.NaN];
        fields(summary.bytes(), (field, reader) => {
          if (field === 1) tag = reader.string();
          else if (field === 2) value = reader.float();
          else if (field === 4) value = reader.bytes();
          else return false;
          return true;
        });
        event.tags[tag] = value;
        return true;
      });
    else return false;
    return true;
  });
  return event;
}

test('an event file begins as TensorBoard wants it, and says from where on earlier ones are void', async () => {
  const path = join(root, 'events.out.tfevents.1.a.1');
  const file = openEvents(path, 41);
  file.scalars(41, { loss: 0.25, norm: 3 });
  await file.flush();
  file.image(42, 'samples', { png: Uint8Array.of(1, 2, 3), width: 5, height: 4 });
  await file.flush();
  const [version, start, scalars, image] = await eventsOf(path);
  expect(version).toMatchObject({ step: 0, version: 'brain.Event:2' });
  expect(start).toMatchObject({ step: 41, restart: true });
  expect(scalars).toMatchObject({ step: 41, tags: { loss: 0.25, norm: 3 } });
  // Height 4, width 5, three channels, then the bytes.
  expect([...((image?.tags.samples as Uint8Array) ?? [])]).toEqual([8, 4, 16, 5, 24, 3, 34, 3, 1, 2, 3]);
});

test('a full disk leaves whole records, is told once, and what waited is written later', async () => {
  const folder = join(root, 'full');
  await mkdir(folder);
  const file = await open(join(root, 'probe'), 'w');
  const handle: { appendFile(bytes: Uint8Array): Promise<void> } = Object.getPrototypeOf(file);
  await file.close();
  const { appendFile } = handle;
  let free = Number.POSITIVE_INFINITY;
  const spy = vi.spyOn(handle, 'appendFile').mockImplementation(async function (this: unknown, bytes) {
    await appendFile.call(this, bytes.subarray(0, free));
    if (free < bytes.length) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
  });
  const said: string[] = [];
  const recorder = await openRecorder({
    folder,
    every: 1,
    samples: { every: 1, draw: () => Promise.reject(new Error(`no picture ${said.length}`)) },
    from: undefined,
    warn: (text) => said.push(text),
  });
  const add = (step: number) =>
    recorder.add({
      ...{ step, loss: 1, norm: 1, progress: 0.1, seconds: 1, images: 1, imagesPerSecond: 1, wait: 0, skipped: 0 },
      snapshot: () => ({ step, parameters: {} }),
    });
  try {
    for (let step = 1; step <= 6; step++) {
      free = step === 1 || step === 6 ? Number.POSITIVE_INFINITY : 7 * step;
      await add(step);
      await recorder.flush();
      const events = (await readdir(folder)).find((name) => name.startsWith('events.')) as string;
      const whole = step < 6 ? [1] : [1, 2, 3, 4, 5, 6];
      expect((await eventsOf(join(folder, events))).slice(2).map((event) => event.step)).toEqual(whole);
      const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
      expect(lines.map((line) => JSON.parse(line).step)).toEqual(whole);
    }
  } finally {
    spy.mockRestore();
  }
  expect(said.map((text) => text.replace(folder, '').replace(/tfevents.* cannot/, 'tfevents cannot'))).toEqual([
    'no picture 0 Training goes on, and it is tried again.',
    '/metrics.jsonl cannot be written: the disk is full. Free some space (ENOSPC). Training goes on, and it is tried again.',
    '/events.out.tfevents cannot be written: the disk is full. Free some space (ENOSPC). Training goes on, and it is tried again.',
  ]);
});

test('a run writes its lines, events and pictures, once each over a restart', async () => {
  const folder = join(root, 'run');
  const drawn: [number, number][] = [];
  const go = async (until: number) => {
    const stop = new AbortController();
    const result = await withRun(
      {
        folder,
        save: { steps: 5 },
        logEvery: 4,
        signal: stop.signal,
        say: () => {},
        samples: {
          every: 6,
          draw({ step, parameters }) {
            drawn.push([step, (parameters.w as tf.Tensor).size]);
            return { png: Uint8Array.of(137, 80, step), width: 1, height: 1 };
          },
        },
        onStep: ({ step }) => {
          if (step === until) stop.abort();
        },
      },
      (hooks) =>
        optimize({
          parameters: { w: tf.ones([3]) },
          loss: ({ w }, x: tf.Tensor) => tf.mean(tf.square(tf.sub(w as tf.Tensor, x))),
          inputs: (step): tf.Tensor => tf.scalar(step === 5 ? Number.NaN : Math.sin(step)),
          optimizer: adam({ learningRate: 0.1 }),
          images: () => 8,
          steps: 18,
          ...hooks,
        }),
    );
    disposeState(result);
    return result.losses;
  };
  await go(10);
  const losses = await go(99);
  const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ step }) => step)).toEqual([4, 8, 12, 16]);
  // Means of the steps since the line before; step 6 was skipped. The window from 9 to 12 spans the restart.
  const mean = (steps: number[]) => steps.reduce((sum, step) => sum + (losses[step - 1] as number), 0) / steps.length;
  [
    [1, 2, 3, 4],
    [5, 7, 8],
    [9, 10, 11, 12],
    [13, 14, 15, 16],
  ].forEach((steps, i) => {
    expect(lines[i].loss).toBe(mean(steps));
  });
  expect(lines.map(({ skipped }) => skipped)).toEqual([0, 1, 1, 1]);
  for (const line of lines) {
    expect(Object.keys(line)).toEqual([
      'step',
      'loss',
      'norm',
      'imagesPerSecond',
      'waitShare',
      'memory',
      'skipped',
      'seconds',
    ]);
    expect(line.waitShare).toBeGreaterThanOrEqual(0);
    expect(line.waitShare).toBeLessThan(1);
    expect(line.imagesPerSecond).toBeGreaterThan(0);
  }
  expect(drawn).toEqual([6, 12, 18].map((step) => [step, 3]));
  expect(await readdir(join(folder, 'samples'))).toEqual(
    [6, 12, 18].map((step) => `step-${String(step).padStart(8, '0')}.png`),
  );
  expect([...(await readFile(join(folder, 'samples', 'step-00000012.png')))]).toEqual([137, 80, 12]);
  const files = (await readdir(folder)).filter((name) => name.startsWith('events.')).sort();
  const events = (await Promise.all(files.map((name) => eventsOf(join(folder, name))))).flat();
  expect(
    events
      .filter(({ restart }) => restart)
      .map(({ step }) => step)
      .sort((a, b) => a - b),
  ).toEqual([1, 11]);
  expect(
    events
      .filter(({ tags }) => 'loss' in tags)
      .map(({ step }) => step)
      .sort((a, b) => a - b),
  ).toEqual([4, 8, 12, 16]);
});
