import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { say } from '@logsnr/io/node';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { expectNoLeak, onBackend } from '../../../test/modules.js';
import { efficientnetExtractor } from './node.js';

// Made by parity/efficientnet.py with the network of efficientnet-lite-pytorch.
const fixture = (name: string) => readFileSync(fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url)));
let folder: string;
let here = false;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-efficientnet-'));
  try {
    (await efficientnetExtractor()).dispose();
    here = true;
  } catch (error) {
    say(`the tests with EfficientNet's weights are left out: ${(error as Error).message}`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const photographs = () =>
  tf.tensor4d(
    Float32Array.from(fixture('inception-images.bin').subarray(0, 2 * 3072), (byte) => byte / 127.5 - 1),
    [2, 32, 32, 3],
  );

function expectSame({ features, probabilities }: { features: tf.Tensor2D; probabilities: tf.Tensor2D | null }) {
  const { buffer, byteOffset } = fixture('efficientnet-lite0.bin');
  const expected = tf.split(tf.tensor2d(new Float32Array(buffer.slice(byteOffset)), [2, 2280]), [1280, 1000], 1);
  const off = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number;
  expect([features.shape, probabilities?.shape]).toEqual([
    [2, 1280],
    [2, 1000],
  ]);
  // Of features up to 4.
  expect(off(features, expected[0] as tf.Tensor)).toBeLessThan(1e-4);
  expect(off(probabilities as tf.Tensor, tf.softmax(expected[1] as tf.Tensor2D))).toBeLessThan(1e-5);
}

test('features and probabilities of photographs are those of the network in PyTorch', async (context) => {
  if (!here) return context.skip();
  const extractor = await efficientnetExtractor({ runtime: native() });
  const images = photographs();
  expectSame(extractor.read(images));
  expectNoLeak(() => {
    const { features, probabilities } = extractor.read(images);
    return [features, probabilities as tf.Tensor];
  });
  extractor.dispose();
  await onBackend('wasm', async () => {
    const slow = await efficientnetExtractor();
    expectSame(slow.read(photographs()));
    slow.dispose();
  });
});

test('a kept file that was changed is fetched anew', async (context) => {
  if (!here) return context.skip();
  const env = { ...process.env, LOGSNR_CACHE: folder };
  writeFileSync(join(folder, 'efficientnet-lite0-57934424.pth'), 'other weights');
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const extractor = await efficientnetExtractor({ env });
  expect(err.mock.calls.flat().join('')).toMatch(/has the SHA-256 .* It is fetched anew/);
  err.mockRestore();
  expect(extractor.sha256).toMatch(/^57934424/);
  extractor.dispose();
});
