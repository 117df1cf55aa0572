import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { key } from '@logsnr/core';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { centerCrop } from './center-crop.js';
import { batchTensors, flips, shuffledBatches, shuffledIndices } from './index.js';
import { type BrokenImage, type ImageFilesOptions, imageFolder } from './node.js';

let [folder, env] = ['', {}];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-images-'));
  env = { LOGSNR_CACHE: join(folder, '.cache') };
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The picture of parity/images.py. */
const picture = (height: number, width: number, channels = 3) => ({
  data: Uint8Array.from({ length: height * width * channels }, (_, i) => {
    const [y, x] = [Math.floor(i / channels / width), Math.floor(i / channels) % width];
    return (7 * x * x + 13 * y + 101 * (i % channels) + x * y) % 256;
  }),
  ...{ height, width, channels },
});
const encoded = (height: number, width: number, channels: 1 | 2 | 3 | 4 = 3) => {
  const { data } = picture(height, width, channels);
  return sharp(data, { raw: { height, width, channels } });
};
const write = (name: string, bytes: string | Uint8Array) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), bytes);
};
const open = (options: Partial<ImageFilesOptions> = {}) =>
  imageFolder(folder, { size: 8, threads: 0, env, ...options });

/** Two classes of two images each. */
async function pair() {
  for (const [i, name] of ['b/1.png', 'b/2.jpeg', 'a/x.webp', 'a/y.JPG'].entries())
    write(
      name,
      await encoded(9 + i, 14)
        .toFormat(name.endsWith('png') ? 'png' : name.endsWith('webp') ? 'webp' : 'jpeg')
        .toBuffer(),
    );
}

const fixture = JSON.parse(readFileSync(new URL('../test/fixtures/center-crop.json', import.meta.url), 'utf8'));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

test('images are resized and cropped as Pillow does, byte for byte', async () => {
  for (const { height, width, size, rgb } of fixture.crops)
    expect([height, width, centerCrop(picture(height, width), size).data]).toEqual([height, width, bytesOf(rgb)]);
  const { file, size, rgb, grey } = fixture.jpeg;
  for (const name of ['c/1.jpg', 'c/2.jpg']) write(name, bytesOf(file));
  expect(await (await open({ size })).read([1])).toEqual(bytesOf(rgb));
  expect(await (await open({ size, channels: 1 })).read([0])).toEqual(bytesOf(grey));
});

test('a long image costs no more than what is seen of it', async () => {
  const { data } = centerCrop({ data: new Uint8Array(3e6).fill(9), height: 1, width: 1e6, channels: 3 }, 64);
  expect(data).toEqual(new Uint8Array(64 * 64 * 3).fill(9));
});

test('labels are the places of the names, and other files are left aside', async () => {
  await pair();
  for (const name of ['.DS_Store', 'readme.txt', 'a/Thumbs.db', 'a/._y.jpg', '.git/1.png', '__MACOSX/1.png'])
    write(name, 'no image');
  symlinkSync(join(folder, 'a/y.JPG'), join(folder, 'b/3.jpg'));
  const dataset = await open();
  expect(dataset.classNames).toEqual(['a', 'b']);
  expect(dataset.labels).toEqual(Uint8Array.of(0, 0, 1, 1, 1));
  expect([dataset.count, dataset.height, dataset.width, dataset.channels, dataset.classes]).toEqual([5, 8, 8, 3, 2]);
  const each = 8 * 8 * 3;
  const [one, all] = [await dataset.read([1, 2]), await dataset.read([0, 1, 2, 3, 4])];
  expect(one).toEqual(all.subarray(each, 3 * each));
  expect(all.subarray(4 * each)).toEqual(all.subarray(each, 2 * each));
  await expect(dataset.read([5])).rejects.toThrow('index 5 at position 0 is out of range');
});

test('more than 256 classes have their labels', async () => {
  const bytes = await encoded(8, 8).png().toBuffer();
  for (let c = 0; c < 300; c++) write(`class-${String(c).padStart(3, '0')}/1.png`, bytes);
  const dataset = await open({ leastPerClass: 1 });
  expect(dataset.labels).toEqual(Uint16Array.from({ length: 300 }, (_, i) => i));
  const batches = shuffledBatches(dataset, { key: key(0), batchSize: 16, ahead: 1 });
  expect((await batches(0)).labels).toEqual(Int32Array.from(shuffledIndices(key(0), 300, 0, 16)));
  await batches.stop();
});

test('each broken file is named, or left out where that is asked for', async () => {
  await pair();
  const jpeg = await encoded(97, 131).jpeg().toBuffer();
  const png = await encoded(97, 131).png().toBuffer();
  const frames = await sharp([await encoded(8, 8).png().toBuffer(), await encoded(8, 8, 1).png().toBuffer()], {
    join: { animated: true },
  })
    .webp({ lossless: true })
    .toBuffer();
  // Which of its words for damage the decoder says depends on what its other threads do.
  const damage =
    /is no sound image: (it is cut short|.*(premature end|read error|corrupt header|unable to|invalid|chunk))/i;
  const broken: Record<string, [Uint8Array | string, RegExp]> = {
    'a/empty.jpg': ['', /is empty/],
    'a/text.png': ['no image', /unsupported/],
    'a/half.jpg': [jpeg.subarray(0, jpeg.length >> 1), damage],
    'a/end.jpg': [jpeg.subarray(0, -9), damage],
    'b/half.png': [png.subarray(0, png.length >> 1), damage],
    'b/head.png': [png.subarray(0, 20), damage],
    'b/half.webp': [(await encoded(30, 30).webp().toBuffer()).subarray(0, 200), damage],
    'b/film.webp': [frames, /a film of 2 frames/],
    'b/gif.png': [await encoded(8, 8).gif().toBuffer(), /is gif; JPEG, PNG and WebP are read/],
    'b/clear.png': [await encoded(8, 8, 4).png().toBuffer(), /has transparency; give a background/],
    'b/z.tiff': ['', /is no JPEG, PNG or WebP/],
  };
  for (const [name, [bytes]] of Object.entries(broken)) write(name, bytes);
  symlinkSync(join(folder, 'nowhere'), join(folder, 'a/lost.png'));
  broken['a/lost.png'] = ['', /is missing/];
  const names = Object.keys(broken);
  for (const check of ['header', 'decode'] as const) {
    const error = await open({ check }).then(String, (error: Error) => error.message);
    expect(error).toMatch(new RegExp(`^${folder} has ${names.length} broken of \\d+ images\\. Mend or remove them`));
    for (const name of names) {
      const line = error.split('\n').find((line) => line.startsWith(`  ${join(folder, name)} `));
      expect([name, line]).toEqual([name, expect.stringMatching((broken[name] as [string, RegExp])[1])]);
    }
    const left: BrokenImage[] = [];
    const dataset = await open({ check, broken: 'skip', onBroken: (image) => left.push(image) });
    expect(left.map(({ name }) => name).sort()).toEqual(names.map((name) => join(folder, name)).sort());
    expect([...dataset.labels]).toEqual([0, 0, 1, 1]);
    await dataset.read([0, 1, 2, 3]);
  }
});

test('damage in the middle of a file is found where files are decoded, else at its batch', async () => {
  await pair();
  const png = await encoded(200, 200).png({ compressionLevel: 0 }).toBuffer();
  png[png.length >> 1] = 1 ^ (png[png.length >> 1] as number);
  write('a/z.png', png);
  await expect(open({ check: 'decode' })).rejects.toThrow(/1 broken of 5 images[\s\S]*a\/z\.png is no sound image/);
  const dataset = await open();
  await expect(dataset.read([0, 2])).rejects.toThrow(/a\/z\.png is no sound image/);
  await dataset.read([0, 1, 3, 4]);
  rmSync(join(folder, 'a/x.webp'));
  await expect(dataset.read([0])).rejects.toThrow(/a\/x\.webp cannot be read: it is missing/);
});

test('what was checked is not checked again until it changes', async () => {
  await pair();
  const looked = async () => {
    let files = 0;
    await open({ onProgress: (done) => (files = done) });
    return files;
  };
  expect([await looked(), await looked()]).toEqual([4, 0]);
  write('a/x.webp', await encoded(30, 30).webp().toBuffer());
  expect([await looked(), await looked()]).toEqual([4, 0]);
  for (const name of readdirSync(join(folder, '.cache/data'))) write(`.cache/data/${name}`, '[[0');
  expect(await looked()).toBe(4);
});

test('a folder that is no dataset says what is wanted', async () => {
  await expect(open()).rejects.toThrow(/must have a folder for each class.*it has no folders/);
  await expect(imageFolder(join(folder, 'none'), { size: 8 })).rejects.toThrow(/none cannot be read: it is missing/);
  write('photo.jpg', '');
  await expect(open()).rejects.toThrow(/it has images and no folders. Put them into one, such as .*all\/photo\.jpg/);
  await pair();
  await expect(open()).rejects.toThrow(/photo\.jpg lies beside the folders/);
  rmSync(join(folder, 'photo.jpg'));
  mkdirSync(join(folder, 'c'));
  await expect(open()).rejects.toThrow(/of class "c" has 0; a class has at least 2 images \(leastPerClass\)/);
  write('c/1.png', await encoded(8, 8).png().toBuffer());
  await expect(open()).rejects.toThrow(/of class "c" has 1;/);
  expect((await open({ leastPerClass: 1 })).count).toBe(5);
  write('c/deep/1.png', '');
  await expect(open()).rejects.toThrow(/c\/deep is a folder within that of a class.*if "c" is a part of the data/);
  for (const [options, message] of [
    [{ size: 0 }, /size is 0/],
    [{ channels: 4 }, /channels is 4/],
    [{ background: [0, 0] }, /background is \[0,0\]/],
    [{ background: [0, 0, 256] }, /background\[2\] is 256/],
    [{ broken: 'mend' }, /broken is "mend"/],
    [{ check: 'all' }, /check is "all"/],
    [{ threads: 0.5 }, /threads is 0.5/],
    [{ resize: 3 }, /does not know the option "resize"/],
  ] as const)
    await expect(open(options as object)).rejects.toThrow(message);
});

test('greys, palettes, 16 bits, transparency and orientation come as they are seen', async () => {
  mkdirSync(join(folder, 'a'));
  const grey = picture(8, 8, 1).data;
  await encoded(8, 8, 1).toColourspace('b-w').png().toFile(join(folder, 'a/1-grey.png'));
  const deep = Uint16Array.from({ length: 3 * 64 }, (_, i) => 256 * (i % 256) + 255);
  await sharp(deep, { raw: { height: 8, width: 8, channels: 3 } })
    .toColourspace('rgb16')
    .png()
    .toFile(join(folder, 'a/2-deep.png'));
  const red = { create: { height: 8, width: 8, channels: 3, background: { r: 200, g: 0, b: 0 } } } as const;
  await sharp(red).png({ palette: true }).toFile(join(folder, 'a/3-palette.png'));
  await sharp({ create: { ...red.create, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
    .png()
    .toFile(join(folder, 'a/4-clear.png'));
  await encoded(8, 16).withMetadata({ orientation: 6 }).png().toFile(join(folder, 'a/5-turned.png'));
  const dataset = await open({ background: [10, 20, 30] });
  const [greys, deeper, palette, clear, turned] = await Promise.all([0, 1, 2, 3, 4].map((i) => dataset.read([i])));
  expect(greys).toEqual(Uint8Array.from({ length: 192 }, (_, i) => grey[Math.floor(i / 3)] as number));
  expect(deeper).toEqual(Uint8Array.from({ length: 192 }, (_, i) => i % 256));
  expect(palette).toEqual(Uint8Array.from({ length: 192 }, (_, i) => (i % 3 === 0 ? 200 : 0)));
  expect(clear).toEqual(Uint8Array.from({ length: 192 }, (_, i) => [10, 20, 30][i % 3] as number));
  // Orientation 6: the first row is shown as the last column.
  const { data } = picture(8, 16);
  const at = (y: number, x: number) => [...(turned as Uint8Array).subarray((y * 8 + x) * 3, (y * 8 + x) * 3 + 3)];
  for (const [y, x] of [
    [0, 0],
    [0, 7],
    [7, 3],
  ] as const) {
    const from = ((7 - x) * 16 + (y + 4)) * 3;
    expect(at(y, x)).toEqual([...data.subarray(from, from + 3)]);
  }
});

test('threads read what one would, and errors of theirs arrive', async () => {
  await pair();
  const [alone, threads] = [await open(), await open({ threads: 3 })];
  for (const indices of [[3, 0, 1, 2, 2], [1], []])
    expect(await threads.read(indices)).toEqual(await alone.read(indices));
  expect(await threads.hash()).toBe(await alone.hash());
  rmSync(join(folder, 'b/1.png'));
  await expect(threads.read([0, 2])).rejects.toThrow(/b\/1\.png cannot be read: it is missing/);
  await threads.close();
  // It begins again where it is asked again.
  expect(await threads.read([0])).toEqual(await alone.read([0]));
  await threads.close();
});

test('the batch of a step is the same after a restart, and nothing is left open', async () => {
  await pair();
  const files = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
  const steps = async (list: number[]) => {
    const dataset = await open();
    const batches = shuffledBatches(dataset, { key: key(3), batchSize: 3, change: flips });
    const seen = [];
    for (const step of list) seen.push(await batches(step));
    await batches.stop();
    await dataset.close();
    return seen;
  };
  const whole = await steps([0, 1, 2, 3, 4, 5]);
  const before = files();
  expect(await steps([4, 5])).toEqual(whole.slice(4));
  expect(files()).toBe(before);
  expect(whole[4]?.labels).toEqual(Int32Array.from(shuffledIndices(key(3), 4, 4, 3), (i) => i >> 1));
  expect(whole[0]?.images).not.toEqual(whole[2]?.images);
  expectNoLeak(() => batchTensors(whole[0] as (typeof whole)[0]));
});

test('the hash is that of the names, labels and sizes, wherever the folder lies', async () => {
  await pair();
  const hash = async (at = folder) => (await imageFolder(at, { size: 8, threads: 0, env, broken: 'skip' })).hash();
  const first = await hash();
  expect(first).toMatch(/^[\da-f]{64}$/);
  const other = join(folder, '.other');
  for (const name of ['a/x.webp', 'a/y.JPG', 'b/1.png', 'b/2.jpeg']) {
    mkdirSync(dirname(join(other, name)), { recursive: true });
    linkSync(join(folder, name), join(other, name));
  }
  expect(await hash(other)).toBe(first);
  write('b/3.png', 'broken');
  expect(await hash()).toBe(first);
  write('b/3.png', await encoded(8, 8).png().toBuffer());
  expect(await hash()).not.toBe(first);
});

test('a folder is listed and never held', async () => {
  const jpeg = await encoded(512, 512).jpeg().toBuffer();
  write('a/0.jpg', jpeg);
  for (let i = 1; i < 500; i++) linkSync(join(folder, 'a/0.jpg'), join(folder, `a/${i}.jpg`));
  const before = process.memoryUsage().rss;
  const dataset = await open({ size: 256 });
  for (const step of [0, 1]) await dataset.read(shuffledIndices(key(0), 500, step, 8));
  // As bytes, all are 94 MiB.
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
});
