import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { key, scoped, uniforms } from '@logsnr/core';
import { cifar10Batch } from '@logsnr/data/node';
import { encodeSafetensors } from '@logsnr/io';
import { npzPieces, replaceFile, say } from '@logsnr/io/node';
import { frechetDistance, gaussianStatistics } from '@logsnr/metrics';
import * as tf from '@tensorflow/tfjs-core';
import { encode } from 'fast-png';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { open as openPng } from '../../figures/test/open-png.js';
import { readBytes } from './image-source.js';
import type { DirectExtractor, Extractor, ImageSource } from './index.js';
import {
  evaluate,
  evaluationPicture,
  evaluationText,
  featuresOf,
  type Metric,
  openImages,
  readStatistics,
  writeStatistics,
} from './node.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-evaluate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Three colours' means and their spread over the image, and the probability of being bright. */
const extractor: DirectExtractor = {
  ...{ extractor: 'colours', sha256: 'c0', resize: 'none', channels: 3, classifier: 'bright or dark' },
  read: (images) =>
    scoped(() => {
      const features = tf.concat([tf.mean(images, [1, 2]), tf.max(images, [1, 2])], 1) as tf.Tensor2D;
      const bright = tf.sigmoid(tf.mean(features, 1, true));
      return { features, probabilities: tf.concat([bright, tf.sub(1, bright)], 1) as tf.Tensor2D };
    }),
  dispose() {},
};
const SIZE = 4;
const EACH = SIZE * SIZE * 3;
const pixels = (seed: number, count: number): Uint8Array =>
  Uint8Array.from(uniforms(key(seed), count * EACH), (u) => 255 * u);
const source = (seed: number, count: number, more: Partial<ImageSource> = {}): ImageSource => ({
  ...{ data: `noise ${seed}`, split: null, count, height: SIZE, width: SIZE, channels: 3, stored: true },
  async read(first, size, give) {
    const all = pixels(seed, count);
    for (let at = first; at < count; at += size) await give(all.subarray(at * EACH, Math.min(count, at + size) * EACH));
  },
  ...more,
});

test('every metric has a field, beside the number of images, the extractor and hashes, and no tensor is left', async () => {
  const before = tf.memory().numTensors;
  const told: string[] = [];
  const { evaluation } = await evaluate({
    ...{ data: source(1, 50), reference: source(2, 40), extractor, batch: 16 },
    metrics: ['fid', 'fidInfinity', 'kid', 'precision', 'recall', 'density', 'coverage', 'is', 'vendi'],
    onProgress: ({ what, done, images }) => told.push(`${what} ${done}/${images}`),
  });
  expect(tf.memory().numTensors).toBe(before);
  expect(evaluation).toMatchObject({
    n: 50,
    nReference: 40,
    extractor: { extractor: 'colours', sha256: 'c0' },
    classifier: 'bright or dark',
  });
  for (const name of [
    'fid',
    'fidInfinity',
    'kid',
    'precision',
    'recall',
    'density',
    'coverage',
    'is',
    'vendi',
  ] as const)
    expect(evaluation[name]).toBeTypeOf('number');
  expect([evaluation.data.sha256, evaluation.reference.sha256].every((hash) => /^[\da-f]{64}$/.test(hash ?? ''))).toBe(
    true,
  );
  expect(told).toContain('features of noise 1 48/50');
  const same = await evaluate({ data: source(1, 50), reference: source(1, 50), extractor });
  expect(same.evaluation.fid).toBeLessThan(1e-6);
  expect(evaluationText(evaluation)).toMatch(/^Fréchet distance .*\d$/m);
  expect(evaluationText(evaluation)).not.toContain('FID');
  const named = { ...evaluation, extractor: { ...evaluation.extractor, extractor: 'inception-2015-12-05' } };
  expect(evaluationText(named)).toMatch(/^FID {2}.*\d$/m);
});

test('features are summed up block by block as all at once, whatever the batch', async () => {
  const all = await featuresOf(source(3, 2100), extractor, null, { keep: true, batch: 32 });
  expect(all.features?.rows).toBe(2100);
  const whole = gaussianStatistics(all.features as never);
  for (const batch of [7, 1000]) {
    const parts = await featuresOf(source(3, 2100), extractor, null, { batch });
    expect(parts.features).toBeNull();
    expect(parts.sha256).toBe(all.sha256);
    const off = parts.statistics.covariance.map((value, i) => Math.abs(value - (whole.covariance[i] as number)));
    expect(Math.max(...off)).toBeLessThan(1e-10);
    expect(frechetDistance(parts.statistics, whole)).toBeLessThan(1e-9);
  }
});

test('a source may give fewer images at once than it is asked for', async () => {
  const ragged = source(3, 210, {
    async read(first, size, give) {
      const all = pixels(3, 210);
      for (let at = first, n = 1; at < 210; at += n, n = (n % Math.min(size, 9)) + 1)
        await give(all.subarray(at * EACH, Math.min(210, at + n) * EACH));
    },
  });
  for (const folder of [undefined, mkdtempSync(join(tmpdir(), 'logsnr-ragged-'))]) {
    const given = { keep: true, batch: 16, folder };
    const [one, other] = [
      await featuresOf(ragged, extractor, null, given),
      await featuresOf(source(3, 210), extractor, null, { ...given, folder: undefined }),
    ];
    expect(one).toEqual(other);
    if (folder) rmSync(folder, { recursive: true });
  }
});

test('FID and the Inception Score keep nothing of the images that went before', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // What the first finds dead is given back in the background; the second waits for that.
  const collect = () => [gc(), gc()];
  const [size, width] = [16, 128];
  const each = size * size * 3;
  const map = tf.randomNormal([each, width], 0, 1, 'float32', 5) as tf.Tensor2D;
  const wide: Extractor = {
    ...extractor,
    read: (images) =>
      scoped(() => {
        const features = tf.matMul(tf.reshape(images, [-1, each]), map) as tf.Tensor2D;
        return { features, probabilities: tf.softmax(features) };
      }),
  };
  const bytes = Uint8Array.from(uniforms(key(6), 101 * each), (u) => 255 * u);
  const drawn = (count: number, look: () => void): ImageSource => ({
    ...{ data: 'drawn', split: null, count, height: size, width: size, channels: 3, stored: false },
    async read(first, size, give) {
      for (let at = first; at < count; at += size) {
        await give(bytes.slice(at % each, (at % each) + Math.min(size, count - at) * each));
        look();
      }
    },
  });
  const most = async (count: number, metrics: readonly Metric[]) => {
    const [held, tensors]: [number[], number[]] = [[], []];
    const data = drawn(count, () => {
      tensors.push(tf.memory().numBytes);
      if (tensors.length % 10 === 0) collect();
      if (tensors.length % 10 === 0) held.push(process.memoryUsage().arrayBuffers);
    });
    const reference = drawn(100, () => {});
    const { evaluation } = await evaluate({ data, reference, extractor: wide, metrics, batch: 100 });
    expect(evaluation.n).toBe(count);
    return { held: Math.max(...held), tensors: Math.max(...tensors) };
  };
  const metrics: Metric[] = ['fid', 'is'];
  await most(1000, metrics);
  const [few, many] = [await most(2000, metrics), await most(5000, metrics)];
  expect(many.tensors).toBe(few.tensors);
  // 3,000 images more are 2.3 MB of bytes, their features and probabilities 1.5 MB each.
  expect(many.held - few.held).toBeLessThan(5e5);
  // The Vendi Score needs all features, and this would see them.
  expect((await most(5000, ['fid', 'vendi'])).held - few.held).toBeGreaterThan(1.5e6);
  map.dispose();
});

test('an evaluation that was stopped goes on where it was, to the same numbers', async () => {
  const [data, parts] = [source(4, 2100), join(folder, 'parts')];
  let seen = 0;
  const counting: Extractor = {
    ...extractor,
    read(images) {
      seen += images.shape[0];
      return extractor.read(images);
    },
  };
  const stop = (done: number) => {
    if (done > 1500) throw new Error('stopped');
  };
  const given = { batch: 100, folder: parts };
  await expect(featuresOf(data, counting, 'h', { ...given, onProgress: stop })).rejects.toThrow('stopped');
  seen = 0;
  const resumed = await featuresOf(data, counting, 'h', given);
  expect(seen).toBe(1100);
  expect(readdirSync(parts)).toHaveLength(3);
  const whole = await featuresOf(data, extractor, 'h', { batch: 100 });
  expect(resumed.statistics).toEqual(whole.statistics);
  // Files of other images are not taken for these.
  seen = 0;
  await featuresOf(data, counting, 'another', given);
  expect(seen).toBe(2100);
});

test('a folder, npz and safetensors files of the same images give the same bytes, JPEG those of its decoder', async () => {
  const bytes = pixels(5, 6);
  const pngs = join(folder, 'pngs');
  mkdirSync(join(pngs, 'b'), { recursive: true });
  for (let i = 0; i < 6; i++) {
    const data = bytes.subarray(i * EACH, (i + 1) * EACH);
    writeFileSync(
      join(pngs, i < 3 ? `${i}.png` : `b/${i}.PNG`),
      encode({ data, width: SIZE, height: SIZE, channels: 3 }),
    );
  }
  const [npz, floats, jpegs] = [join(folder, 'a.npz'), join(folder, 'a.safetensors'), join(folder, 'jpegs')];
  await replaceFile(
    npz,
    npzPieces({ arr_0: { shape: [6, SIZE, SIZE, 3], data: bytes }, labels: { shape: [6], data: new Uint8Array(6) } }),
  );
  const unit = Float32Array.from(bytes, (byte) => byte / 127.5 - 1);
  writeFileSync(floats, encodeSafetensors({ tensors: { images: { shape: [6, SIZE, SIZE, 3], data: unit } } }));
  mkdirSync(jpegs);
  const raw = { raw: { width: SIZE, height: SIZE, channels: 3 as const } };
  for (let i = 0; i < 2; i++)
    writeFileSync(
      join(jpegs, `${i}.jpg`),
      await sharp(bytes.subarray(i * EACH, (i + 1) * EACH), raw)
        .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
        .toBuffer(),
    );
  const hash = async (path: string) => {
    const { features } = await featuresOf(await openImages(path), extractor, null, { batch: 4, keep: true });
    return [...Array.from(features?.data ?? [])];
  };
  const expected = await hash(npz);
  expect(await hash(pngs)).toEqual(expected);
  expect(await hash(floats)).toEqual(expected);
  // Two of the six, within what JPEG loses.
  const off = (await hash(jpegs)).map((value, i) => Math.abs(value - (expected[i] as number)));
  expect(off).toHaveLength(12);
  expect(Math.max(...off)).toBeLessThan(0.05);
});

test('the training images of CIFAR-10 come from their files one after another', async (context) => {
  const two = await Promise.all([cifar10Batch('data_batch_1'), cifar10Batch('data_batch_2')]).catch(
    (error: unknown) => {
      say(`CIFAR-10 is not there: ${(error as Error).message}`);
    },
  );
  if (!two) return context.skip();
  const [first, second] = two.map(({ images }) => images) as [Uint8Array, Uint8Array];
  const train = await openImages('cifar10:train:10040');
  expect(train).toMatchObject({ data: 'CIFAR-10', split: 'train:10040', count: 10_040, height: 32, channels: 3 });
  const seen: Uint8Array[] = [];
  await readBytes(train, 9984, 32, async (bytes) => void seen.push(bytes.slice()));
  expect(seen.map(({ length }) => length / 3072)).toEqual([32, 24]);
  const expected = Buffer.concat([first.subarray(9984 * 3072), second.subarray(0, 40 * 3072)]);
  expect(Buffer.concat(seen).equals(expected)).toBe(true);
  seen.length = 0;
  await readBytes(train, 10_016, 32, async (bytes) => void seen.push(bytes.slice()));
  expect(Buffer.concat(seen).equals(expected.subarray(32 * 3072))).toBe(true);
  expect((await openImages('cifar10:train')).count).toBe(50_000);
  await expect(openImages('cifar10:train:50001')).rejects.toThrow('count is 50001');
  await expect(openImages('cifar10:test:10001')).rejects.toThrow('count is 10001');
});

test('statistics of a file serve as the reference of FID, and unlike ones are refused before any work', async () => {
  const path = join(folder, 'reference.npz');
  const { statistics } = await featuresOf(source(6, 60), extractor, null);
  await writeStatistics(path, statistics);
  const [reference, data] = [await readStatistics(path), source(7, 60)];
  const { evaluation } = await evaluate({ data, reference, extractor });
  expect(evaluation.fid).toBe((await evaluate({ data, reference: source(6, 60), extractor })).evaluation.fid);
  const never: Extractor = {
    ...extractor,
    read: () => {
      throw new Error('worked');
    },
  };
  await expect(evaluate({ data, reference, extractor: never, metrics: ['kid'] })).rejects.toThrow(
    'kid need the features of each image',
  );
  await expect(evaluate({ data, reference, extractor: { ...never, sha256: 'c1' } })).rejects.toThrow(
    "the hash of the network's weights",
  );
  await expect(evaluate({ data, reference: { ...reference, origin: null }, extractor: never })).rejects.toThrow(
    'do not say which network',
  );
});

test('statistics of another number of features are refused after one batch of grey, and no tensor is left', async () => {
  const { statistics } = await featuresOf(source(6, 60), extractor, null);
  const reference = { ...statistics, origin: null, mean: new Float64Array(5), covariance: new Float64Array(25) };
  const before = tf.memory().numTensors;
  const asked: string[] = [];
  await expect(
    evaluate({
      data: source(7, 60),
      reference,
      extractor,
      assume: 'colours',
      onProgress: ({ what }) => asked.push(what),
    }),
  ).rejects.toThrow("the reference's statistics are of 5 features and colours gives 6");
  expect(asked).toEqual([]);
  expect(tf.memory().numTensors).toBe(before);
});

test('what cannot be judged is refused before any work, in words', async () => {
  const never: Extractor = {
    ...extractor,
    read: () => {
      throw new Error('worked');
    },
  };
  const refused = (data: ImageSource, message: string | RegExp, more: object = {}) =>
    expect(evaluate({ data, reference: source(9, 20), extractor: never, ...more })).rejects.toThrow(message);
  await refused(source(8, 1), 'has 1 images; a covariance needs at least 2');
  await refused(source(8, 20, { channels: 1 }), 'have 1 channel (grey); colours takes 3 channels (colours)');
  await refused(source(8, 20), 'metric is "fud"', { metrics: ['fud'] });
  await refused(source(8, 20), 'the Inception Score needs class probabilities', {
    metrics: ['is'],
    extractor: { ...never, classifier: null },
  });
  const spoilt = (value: number) =>
    source(8, 20, {
      read: async (_first, _size, give) => {
        await give(new Float32Array(20 * EACH).fill(value));
      },
    });
  await refused(spoilt(Number.NaN), 'image 0 of noise 8 has a pixel of NaN');
  await refused(spoilt(3), 'a pixel of 3; floats must be in [−1, 1]');
  await refused(
    source(8, 20, { read: async (_first, _size, give) => give(pixels(8, 5)) }),
    'ended after 5 of 20 images',
  );

  const dir = (name: string, files: Record<string, Uint8Array>): string => {
    mkdirSync(join(folder, name));
    for (const [file, bytes] of Object.entries(files)) writeFileSync(join(folder, name, file), bytes);
    return join(folder, name);
  };
  const png = (width: number, channels: 1 | 3 | 4, depth: 8 | 16 = 8) => {
    const data = depth === 8 ? new Uint8Array(width * 4 * channels) : new Uint16Array(width * 4 * channels);
    return encode({ data, width, height: 4, channels, depth });
  };
  const opened = async (path: string) =>
    evaluate({ data: await openImages(path), reference: source(9, 20), extractor: never });
  await expect(opened(join(folder, 'nowhere'))).rejects.toThrow('it is missing');
  await expect(opened(dir('empty', { 'notes.txt': png(4, 3) }))).rejects.toThrow('has no PNG or JPEG files');
  await expect(opened(dir('grey', { 'a.png': png(4, 1), 'b.png': png(4, 1) }))).rejects.toThrow(
    'have 1 channel (grey)',
  );
  await expect(opened(dir('partly', { 'a.png': png(4, 3), 'b.png': png(4, 1) }))).rejects.toThrow('b.png is grey and');
  await expect(
    evaluate({ data: source(8, 20), reference: source(9, 20), extractor: { ...never, size: { height: 4, width: 5 } } }),
  ).rejects.toThrow('have 4×4 pixels; colours takes 4×5');
  await expect(opened(dir('alpha', { 'a.png': png(4, 4) }))).rejects.toThrow('is of four channels');
  await expect(opened(dir('deep', { 'a.png': png(4, 3, 16) }))).rejects.toThrow('has 16 bits a channel');
  await expect(opened(dir('mixed', { 'a.png': png(4, 3), 'b.png': png(5, 3) }))).rejects.toThrow(
    'all images must have one size',
  );
  await expect(opened(dir('cut', { 'a.png': png(4, 3).subarray(0, 40) }))).rejects.toThrow('is no sound image');
  const spoiltPng = Buffer.from(png(4, 3));
  spoiltPng.writeUInt8(spoiltPng.readUInt8(spoiltPng.indexOf('IDAT') + 12) ^ 1, spoiltPng.indexOf('IDAT') + 12);
  await expect(opened(dir('spoilt', { 'a.png': spoiltPng }))).rejects.toThrow('is no sound image');
  const huge = Buffer.from(png(4, 3));
  huge.writeUInt32BE(2 ** 20, 16);
  huge.writeUInt32BE(2 ** 20, 20);
  await expect(opened(dir('huge', { 'a.png': huge }))).rejects.toThrow('1048576×1048576 pixels; the most are');
  await expect(opened(dir('jpeg', { 'a.jpg': new Uint8Array(9).fill(255) }))).rejects.toThrow('is no sound image');
  await expect(opened(dir('other', { 'a.png': png(4, 3), 'b.webp': png(4, 3) }))).rejects.toThrow(
    'b.webp is no PNG or JPEG',
  );
  await expect(opened('cifar10:batch_9')).rejects.toThrow('is no part of CIFAR-10');
  await expect(opened('mnist:test:0')).rejects.toThrow('it is mnist:PART:COUNT, PART of train, test');
  await expect(opened('mnist:test:20')).rejects.toThrow('MNIST test:20 have 1 channel (grey)');
});

test('the picture shows the first images of both sides', async () => {
  const solid = (value: number) =>
    source(value, 3, {
      read: async (first, size, give) => give(new Uint8Array(Math.min(size, 3 - first) * EACH).fill(value)),
    });
  const [data, reference] = [solid(11), solid(77)];
  const { evaluation } = await evaluate({ data, reference, extractor });
  const opened = openPng(await evaluationPicture(evaluation, data, reference));
  const of = (value: number) => opened.where((rgb) => rgb.join() === [value, value, value].join());
  expect([of(11).length, of(77).length].map((count) => count >= 3 * 60 * 60)).toEqual([true, true]);
  expect(Math.max(...of(11).map(([, y]) => y))).toBeLessThan(Math.min(...of(77).map(([, y]) => y)));
});
