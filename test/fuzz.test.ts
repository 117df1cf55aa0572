import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendInfo } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { fuzz } from '../scripts/fuzz.js';
import { judge, type Reader } from '../scripts/fuzz-files.js';

const native = backendInfo()?.backend === 'tensorflow';

test.skipIf(!native)(
  'native operations of any sizes give what their composed form gives, or are refused by name',
  async () => {
    const { results, refusals, failures } = await fuzz('operations', { seed: 1, cases: 400 });
    expect(failures).toEqual([]);
    expect(results + refusals).toBe(400);
    expect(Math.min(results, refusals)).toBeGreaterThan(100);
  },
  240_000,
);

test('spoilt files of every reader give the values that were written, or an error that names the file', async () => {
  const { results, refusals, failures } = await fuzz('files', { seed: 1, cases: 2000 });
  expect(failures).toEqual([]);
  expect(results + refusals).toBe(2000);
  expect(Math.min(results, refusals)).toBeGreaterThan(200);
}, 240_000);

test('a reader that does anything else is reported', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-judge-'));
  const of = (read: () => unknown, same = false, checked = true) => {
    const reader: Reader = { name: 'any', weight: 1, checked, make: async () => {}, read: async () => `${read()}` };
    return judge(reader, folder, { expected: ['old', 'older'], same });
  };
  const raise = (message: string) => () => {
    throw new RangeError(message);
  };
  expect(await of(() => 'older')).toBe('result');
  expect(await of(() => 'new', false, false)).toBe('result');
  expect(await of(raise(`${folder}/a is cut short.`))).toBe('refused');

  expect(await of(() => 'new')).toBe('other values were read: new');
  expect(await of(() => 'new', true, false)).toBe('other values were read: new');
  expect(await of(raise('Maximum call stack size exceeded'))).toMatch(/^refused without the file's name: Maximum/);
  expect(await of(raise(`${folder}/a is cut short.`), true)).toMatch(/^refused what is valid: /);
  expect(await of(raise(folder.repeat(1000)))).toMatch(/^refused in \d+ letters/);
  expect(await of(() => tf.keep(tf.scalar(1)) && 'old')).toBe('left 1 tensors: result');
  const long = () => {
    const { user, system } = process.cpuUsage();
    for (let now = { user, system }; now.user + now.system < user + system + 1.1e6; ) now = process.cpuUsage();
    return 'old';
  };
  expect(await of(long)).toMatch(/^took 1\.\d+ s of processor time: result/);
  if (process.platform === 'linux') {
    // What counts is the most that the process had so far, and earlier tests in it may have had more than it has now.
    const status = readFileSync('/proc/self/status', 'utf8');
    const [peak, size] = ['VmPeak', 'VmSize'].map(
      (name) => 1024 * Number(RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]),
    );
    const held: Uint8Array[] = [];
    const take = () => {
      while (held.length * 2 ** 32 < Number(peak) - Number(size) + 2 ** 30) held.push(new Uint8Array(2 ** 32));
      return 'old';
    };
    expect(await of(take)).toMatch(/^took \d{10} bytes of memory: result/);
    expect(held.length).toBeGreaterThan(0);
  }
  rmSync(folder, { recursive: true });
});
