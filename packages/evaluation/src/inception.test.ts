import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeSafetensors, type Heading } from '@logsnr/io';
import { cacheFolder, pytorchPieces, replaceFile, say } from '@logsnr/io/node';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { onBackend } from '../../../test/modules.js';
import { expectNoLeak } from '../../../test/no-leak.js';
import { stateDictNames } from './inception-names.js';
import { INCEPTION_SHA256, inceptionShapes, readInception } from './inception-weights.js';
import { inceptionExtractor, inceptionWeights } from './node.js';

const fixture = (name: string) => readFileSync(fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url)));
let folder: string;
let fetched = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-inception-'));
  try {
    tf.dispose((await inceptionWeights()).parameters as never);
    const kept = readdirSync(cacheFolder()).find((name) => /^inception-.*\.safetensors$/.test(name)) as string;
    fetched = join(cacheFolder(), kept);
  } catch (error) {
    say(`the tests with Inception's own weights are left out: ${(error as Error).message}`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the features of eight photographs are those of the original network', async (context) => {
  if (!fetched) return context.skip();
  const before = tf.memory().numTensors;
  const extractor = await inceptionExtractor({ runtime: native() });
  expect(extractor.sha256).toBe(INCEPTION_SHA256);
  expect(extractor.classifier).toBeNull();
  const images = tf.tensor4d(
    Float32Array.from(fixture('inception-images.bin'), (byte) => byte / 127.5 - 1),
    [8, 32, 32, 3],
  );
  const expected = fixture('inception-pool3.bin');
  const { features, probabilities } = extractor.read(images);
  expect([features.shape, probabilities]).toEqual([[8, 2048], null]);
  // Measured: 9e-6, of features up to 2.6.
  const differences = features.dataSync().map((value, i) => Math.abs(value - expected.readFloatLE(4 * i)));
  expect(Math.max(...differences)).toBeLessThan(1e-4);
  expectNoLeak(() => extractor.read(images));
  extractor.dispose();
  tf.dispose([images, features]);
  expect(tf.memory().numTensors).toBe(before);
});

test('wasm gives the same features, slowly', async (context) => {
  if (!fetched) return context.skip();
  const expected = fixture('inception-pool3.bin');
  const found = await onBackend('wasm', async () => {
    const extractor = await inceptionExtractor();
    const one = tf.tensor4d(
      Float32Array.from(fixture('inception-images.bin').subarray(0, 3072), (byte) => byte / 127.5 - 1),
      [1, 32, 32, 3],
    );
    const { features } = extractor.read(one);
    const values = await features.data();
    extractor.dispose();
    tf.dispose([one, features]);
    return values;
  });
  const differences = found.map((value, i) => Math.abs(value - expected.readFloatLE(4 * i)));
  expect(found).toHaveLength(2048);
  // Measured: 1.0e-5.
  expect(Math.max(...differences)).toBeLessThan(1e-4);
});

test('weights that were kept are read again, and made anew where they are damaged', async (context) => {
  if (!fetched) return context.skip();
  const env = { ...process.env, LOGSNR_CACHE: join(folder, 'cache') };
  const given = { file: fetched, env };
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const read = async () => {
    const { parameters, sha256 } = await inceptionWeights(given);
    tf.dispose(parameters as never);
    return sha256;
  };
  expect(await read()).toBe(INCEPTION_SHA256);
  const [name] = readdirSync(join(folder, 'cache')) as [string];
  truncateSync(join(folder, 'cache', name), 1000);
  expect(await read()).toBe(INCEPTION_SHA256);
  expect(err.mock.calls.flat().join('')).toMatch(/it is made anew/);
  expect(readdirSync(join(folder, 'cache'))).toEqual([name]);
  err.mockRestore();
});

/** A state dict of the right shapes: weights i + 1 and one outlier, γ 2, variance 4, β i and mean 1 of the i-th convolution. */
function stateDict(): { heading: Heading; values: Float32Array }[] {
  const shapes = Object.entries(inceptionShapes).filter(([name]) => /^pool3.*kernel$/.test(name));
  return stateDictNames.flatMap((names, i) => {
    const [rows = 0, columns = 0, from = 0, to = 0] = (shapes[i] as [string, number[]])[1];
    const filled = (name: string, shape: number[], value: number) => ({
      heading: { name, dtype: 'F32' as const, shape },
      values: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value),
    });
    const weight = filled(names.weight, [to, from, rows, columns], i + 1);
    // The last pixel of the first channel of the second filter.
    weight.values[from * rows * columns + rows * columns - 1] = -1;
    const [gamma, variance] = [filled(names.gamma as string, [to], 2), filled(names.variance, [to], 4 - 1e-3)];
    return [weight, gamma, variance, filled(names.beta, [to], i), filled(names.mean, [to], 1)];
  });
}

test('a state dict of pytorch-fid is read by name, turned, and its batch norm folded in; other weights than FID’s are refused', async () => {
  const path = join(folder, 'state.pth');
  const tensors = stateDict();
  const classifier = {
    heading: { name: 'fc.weight', dtype: 'F32' as const, shape: [1008, 2048] },
    values: new Float32Array(1008 * 2048),
  };
  classifier.values[2048] = 7; // class 1, feature 0
  const all = [...tensors.reverse(), classifier];
  const bytes = async function* () {
    for (const { values } of all) yield new Uint8Array(values.buffer);
  };
  await replaceFile(
    path,
    pytorchPieces(
      all.map(({ heading }) => heading),
      bytes(),
    ),
  );
  const found = await readInception(path);
  expect([...found.keys()].sort()).toEqual(Object.keys(inceptionShapes).sort());
  expect((found.get('logits.kernel') as Float32Array)[1]).toBe(7);
  const kernels = Object.keys(inceptionShapes).filter((name) => /^pool3.*kernel$/.test(name));
  for (const [i, name] of kernels.entries()) {
    const [rows = 0, columns = 0, from = 0, to = 0] = inceptionShapes[name] as number[];
    const kernel = found.get(name) as Float32Array;
    expect(kernel[0]).toBeCloseTo(i + 1, 4);
    expect(kernel.indexOf(-1)).toBe((rows * columns - 1) * from * to + 1);
    expect((found.get(name.replace('kernel', 'bias')) as Float32Array)[0]).toBeCloseTo(i - 1, 4);
  }
  const env = { ...process.env, LOGSNR_CACHE: join(folder, 'other') };
  const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await expect(inceptionWeights({ file: path, env })).rejects.toThrow(/other weights .*would be no FID/);
  err.mockRestore();
});

test('a file that holds no Inception is refused by the tensor that is missing or of another shape', async () => {
  const path = join(folder, 'wrong.safetensors');
  const write = (tensors: Parameters<typeof encodeSafetensors>[0]['tensors']) =>
    writeFileSync(path, encodeSafetensors({ tensors }));
  write({ a: { shape: [1], data: Float32Array.of(1) } });
  await expect(readInception(path)).rejects.toThrow('it has no tensor "Conv2d_1a_3x3.conv.weight"');
  write({ 'Conv2d_1a_3x3.conv.weight': { shape: [1], data: Float32Array.of(1) } });
  await expect(readInception(path)).rejects.toThrow('has shape [1], not [32, 3, 3, 3]');
  write({ 'Conv2d_1a_3x3.conv.weight': { shape: [32, 3, 3, 3], data: new Float64Array(864) } });
  await expect(readInception(path)).rejects.toThrow('is F64, not float32');
  await expect(inceptionWeights({ file: join(folder, 'none.pt') })).rejects.toThrow('it is missing');
});
