import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { key } from '@logsnr/core';
import sharp from 'sharp';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { shuffledBatches } from './index.js';
import { type ImageFilesOptions, imageFolder, tarShards } from './node.js';

let [folder, env] = ['', {}];
const images: Uint8Array[] = [];
beforeAll(async () => {
  for (let i = 0; i < 6; i++) {
    const color = { r: 40 * i, g: 255 - 40 * i, b: 9 * i };
    const image = sharp({ create: { width: 9 + i, height: 12, channels: 3, background: color } });
    images.push(await (i % 2 === 0 ? image.png() : image.jpeg()).toBuffer());
  }
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-shards-'));
  env = { LOGSNR_CACHE: join(folder, '.cache') };
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Entry {
  name: string;
  data?: Uint8Array | string;
  type?: string;
  size?: string;
  prefix?: string;
}

/** A header of ustar and its contents. */
function entry({ name, data = '', type = '0', size, prefix = '' }: Entry): Buffer {
  const content = Buffer.from(data);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(size ?? content.length.toString(8).padStart(11, '0'), 124, 'latin1');
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  header.write(prefix, 345);
  header.write(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([header, content, Buffer.alloc(-content.length & 511)]);
}
const end = Buffer.alloc(1024);
const tar = (...entries: Entry[]) => Buffer.concat([...entries.map(entry), end]);
const image = (name: string, i: number): Entry => ({ name, data: images[i] as Uint8Array });
const write = (name: string, bytes: Uint8Array) => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};
const open = (shards: string | string[] = folder, options: Partial<ImageFilesOptions> = {}) =>
  tarShards(shards, { size: 8, threads: 0, leastPerClass: 1, env, ...options });

/** Two shards of three images, labelled as WebDataset has it. */
function labelled() {
  for (const s of [0, 1])
    write(
      `shard-00000${s}.tar`,
      tar(
        ...[0, 1, 2].flatMap((i) => [
          image(`${s}${i}.${i % 2 === s ? 'png' : 'jpg'}`, 3 * s + i),
          { name: `${s}${i}.cls`, data: `${(s + i) % 3}\n` },
          { name: `${s}${i}.json`, data: '{}' },
        ]),
      ),
    );
}

test('shards have the images that a folder has, with the labels beside them', async () => {
  labelled();
  const dataset = await open();
  expect([dataset.count, dataset.classNames, dataset.labels]).toEqual([
    6,
    ['0', '1', '2'],
    Uint8Array.of(0, 1, 2, 1, 2, 0),
  ]);
  mkdirSync(join(folder, 'files/all'), { recursive: true });
  for (const [i, bytes] of images.entries()) write(`files/all/${i}.png`, bytes);
  const files = await imageFolder(join(folder, 'files'), { size: 8, threads: 0, env });
  for (const indices of [
    [0, 1, 2, 3, 4, 5],
    [5, 0, 3],
  ])
    expect(await dataset.read(indices)).toEqual(await files.read(indices));
  expect(await open([0, 1].map((s) => join(folder, `shard-00000${s}.tar`))).then((d) => d.hash())).toBe(
    await dataset.hash(),
  );
});

test('folders in the archive are classes, and names may be long', async () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}.png`;
  const pax = (text: string) => `${text.length + 4} ${text}\n`.padStart(0);
  const path = `path=z/${long}`;
  write(
    'a.tar',
    tar(
      { name: './b/', type: '5' },
      image('./b/1.jpg', 1),
      { name: 'PaxHeader', type: 'x', data: pax('mtime=17.25') },
      image('a/1.png', 0),
      { name: '././@LongLink', type: 'L', data: `a/${long}\0` },
      image('a/cut', 2),
      { name: 'PaxHeader', type: 'x', data: `${path.length + 5} ${path}\n` },
      image('cut', 4),
      { ...image('3.jpg', 3), prefix: 'b' },
      { name: 'b/._3.jpg', data: 'resource fork' },
      { name: 'notes.txt', data: 'x' },
    ),
  );
  const dataset = await open();
  expect(dataset.classNames).toEqual(['a', `a/${'d'.repeat(90)}`, 'b', `z/${'d'.repeat(90)}`]);
  expect([...dataset.labels]).toEqual([2, 0, 1, 3, 2]);
  expect((await dataset.read([3])).subarray(0, 3)).toEqual(Uint8Array.of(160, 95, 36));
});

test('archives of the system’s tar are read', async () => {
  mkdirSync(join(folder, 'in/cat'), { recursive: true });
  mkdirSync(join(folder, `in/dog${'g'.repeat(120)}`));
  write('in/cat/1.png', images[0] as Uint8Array);
  write(`in/dog${'g'.repeat(120)}/1.jpg`, images[1] as Uint8Array);
  execFileSync('tar', ['-cf', join(folder, 'system.tar'), '-C', join(folder, 'in'), '.']);
  const dataset = await open();
  expect([dataset.classNames, [...dataset.labels].sort()]).toEqual([
    ['cat', `dog${'g'.repeat(120)}`],
    [0, 1],
  ]);
});

test('the batch of a step is the same after a restart, from a remembered index, and no file stays open', async () => {
  labelled();
  const files = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
  const step = async (step: number) => {
    const dataset = await open();
    const batches = shuffledBatches(dataset, { key: key(1), batchSize: 4 });
    const batch = await batches(step);
    await batches.stop();
    return batch;
  };
  const first = await step(7);
  const before = files();
  expect(await step(7)).toEqual(first);
  expect(files()).toBe(before);
  expect((await step(8)).images).not.toEqual(first.images);
  // An archive that was changed is read anew.
  const path = join(folder, 'shard-000000.tar');
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.alloc(bytes.length));
  await expect(open()).rejects.toThrow(/shard-000000\.tar has no JPEG, PNG or WebP files/);
  writeFileSync(path, bytes);
  utimesSync(path, 1, 1);
  expect(await step(7)).toEqual(first);
});

test('broken images in shards are named, or left out', async () => {
  write('a.tar', tar(image('c/1.png', 0), { name: 'c/2.png', data: 'none' }, { name: 'c/3.gif' }, image('c/4.jpg', 1)));
  await expect(open()).rejects.toThrow(
    /2 broken of 3 images[\s\S]*a\.tar: c\/3\.gif is no[\s\S]*a\.tar: c\/2\.png is no sound image/,
  );
  expect((await open(folder, { broken: 'skip' })).count).toBe(2);
});

test('labels that are missing or cannot be are refused', async () => {
  const refused = async (message: RegExp, ...entries: Entry[]) => {
    write('a.tar', tar(...entries));
    utimesSync(join(folder, 'a.tar'), ++time, time);
    await expect(open()).rejects.toThrow(message);
  };
  let time = 0;
  await refused(
    /a\.tar: 2\.jpg has no 2\.cls beside it/,
    image('1.png', 0),
    { name: '1.cls', data: '0' },
    image('2.jpg', 1),
  );
  await refused(/a\.tar: 1\.png has no class; it must lie in a folder/, image('1.png', 0));
  for (const data of ['', 'cat', '-1', '1.5', '9'.repeat(40)])
    await refused(/a\.tar: 1\.cls has no number of a class/, image('1.png', 0), { name: '1.cls', data });
  await refused(/is of class 999999999; classes are .* there are 1 images/, image('1.png', 0), {
    name: '1.cls',
    data: '999999999',
  });
  await refused(/of class "0" has 0/, image('1.png', 0), { name: '1.cls', data: '1' }, image('2.jpg', 1), {
    name: '2.cls',
    data: '1',
  });
  await refused(/has "c\/1\.png" twice/, image('c/1.png', 0), image('c/1.png', 0));
  await refused(/no JPEG, PNG or WebP files/, { name: 'a.txt' });
  rmSync(join(folder, 'a.tar'));
  await expect(open()).rejects.toThrow(/has no \.tar files/);
  await expect(open([])).rejects.toThrow(/there are no shards/);
  await expect(open(join(folder, 'b.tar'))).rejects.toThrow(/b\.tar cannot be read: it is missing/);
});

test('archives that were made to harm, or cut short, are refused before anything is read of them', async () => {
  const good = image('c/1.png', 0);
  const hostile: [Uint8Array, RegExp][] = [
    [tar({ ...good, size: '77777777777' }), /says that "c\/1\.png" has 8589934591 bytes/],
    [tar({ ...good, size: `\x80${'\0'.repeat(3)}\x7f${'\xff'.repeat(7)}` }), /says that "c\/1\.png" has 9\d+ bytes/],
    [tar({ ...good, size: '-0000000001' }), /says that "c\/1\.png" has NaN bytes/],
    [tar(good).subarray(0, 600), /says that .* 88 are left. Is it cut short/],
    [tar(good).subarray(0, -1024), /without the mark of its end/],
    [Buffer.concat([tar(good), tar(good)]), /goes on after the mark of its end/],
    [Buffer.concat([tar(good), Buffer.alloc(2 ** 20)]), /goes on after the mark of its end/],
    [tar({ name: 'c/../../x.png' }), /"c\/\.\.\/\.\.\/x\.png", whose name leads out of it/],
    [tar({ name: '/etc/x.png' }), /leads out of it/],
    [tar({ name: '..\\x.png' }), /leads out of it/],
    [tar({ name: 'c/l.png', type: '2' }), /a symbolic link, "c\/l\.png"/],
    [tar({ name: 'c/l.png', type: '1' }), /a link, "c\/l\.png"/],
    [tar({ name: 'c/l.png', type: '3' }), /a device/],
    [tar({ name: 'c/l.png', type: 'S' }), /a file with holes/],
    [tar({ name: 'c/l.png', type: 'Z' }), /an entry of type "Z"/],
    [tar({ name: 'x', type: 'x', data: '18 size=4294967296\n' }, good), /the attribute "size"/],
    [tar({ name: 'x', type: 'x', data: '22 GNU.sparse.major=1\n' }, good), /the attribute "GNU\.sparse\.major"/],
    [tar({ name: 'x', type: 'g', data: '14 path=evil\n' }, good), /the attribute "path"/],
    [tar({ name: 'x', type: 'x', data: '21 path=../../../x.png\n' }, good), /leads out of it/],
    [tar({ name: 'x', type: 'L', data: 'x'.repeat(2 ** 16 + 1) }, good), /has a header of 65537 bytes/],
    [Buffer.from('\x1f\x8b gzip'.padEnd(2000)), /has no tar header at byte 0; is it a tar archive, and not compressed/],
    [Buffer.alloc(0), /ends after 0 bytes/],
  ];
  for (const [i, [bytes, message]] of hostile.entries()) {
    const path = write(`${i}.tar`, bytes);
    await expect(open(path)).rejects.toThrow(message);
    await expect(open(path)).rejects.toThrow(path);
  }
  expect(readdirSync(folder).sort()).toEqual(hostile.map((_, i) => `${i}.tar`).sort());
});
