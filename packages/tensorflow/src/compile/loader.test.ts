import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend } from '../native.js';
import { compile } from './compile.js';
import { collect } from './loader.js';

const native = backendInfo()?.backend === 'tensorflow';
const before = process.env.TMPDIR;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-test-'));
  process.env.TMPDIR = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true, force: true });
});

test.runIf(native)('a folder for temporary files that is not there is named, and nothing is left', () => {
  const [a, large] = [tf.ones([2]), tf.ones([40, 20])];
  tf.dispose([tf.neg(a), tf.neg(large)]);
  const compiled = compile((a: tf.Tensor) => tf.tidy(() => tf.add(tf.sum(large), a)));
  const counts = () => [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
  const tensors = counts();
  process.env.TMPDIR = join(folder, 'gone');
  expect(() => compiled(a)).toThrow(/none can be written in .*gone: ENOENT.* Set TMPDIR to a folder/);
  expect(counts()).toEqual(tensors);
  process.env.TMPDIR = folder;
  expect([...compiled(a).dataSync()]).toEqual([801, 801]);
  expect(readdirSync(folder)).toEqual([]);
});

test('what a killed process has left is collected; what is young, of a live process or of others stays', () => {
  // No system has so many processes; that of one that has ended could be another's by now.
  const pid = 2 ** 30;
  const [old, young, mine, others] = [
    `logsnr-graph-${pid}-a`,
    `logsnr-graph-${pid}-b`,
    `logsnr-graph-${process.pid}-c`,
    'others-1-d',
  ];
  for (const name of [old, young, mine, others]) mkdirSync(join(folder, name as string));
  for (const name of [old, mine, others]) utimesSync(join(folder, name as string), 0, 0);
  collect(folder);
  expect(existsSync(join(folder, old as string))).toBe(false);
  expect(readdirSync(folder).sort()).toEqual([young, mine, others].sort());
});
