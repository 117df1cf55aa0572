import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkInteger } from '@logsnr/core';
import { type ImageSet, subset } from '@logsnr/data';
import {
  CIFAR10_BATCHES,
  type Cifar10Batch,
  cifar10Batch,
  fashionMnist,
  mnist,
  openImage,
  type Pixels,
} from '@logsnr/data/node';
import { DamagedFile, type Heading, type Values } from '@logsnr/io';
import { explained, withFile, withNpz, withSafetensors } from '@logsnr/io/node';
import { type ImageSource, inBatches, sourceOf } from './image-source.js';

/**
 * The images that a text names: a folder of PNG and JPEG files, in the order of their names; a `.npz` or safetensors file with an
 * array [n, h, w, channels] of bytes or of floats in [−1, 1]; or `cifar10:test_batch:4000`, the first 4,000 of that official
 * file, and so `cifar10:train`, all 50,000 training images, `mnist:test:1000`, `fashion-mnist:train:1000`.
 * @throws Error that says what is wrong: nothing there, no images, 16 bits, transparency, other sizes.
 */
export async function openImages(text: string): Promise<ImageSource> {
  if (Object.hasOwn(DATASETS, text.split(':')[0] as string) && text.includes(':')) return openDataset(text);
  const stats = await stat(text).catch((error: unknown) => {
    throw explained(error, text, 'read');
  });
  if (stats.isDirectory()) return openFolder(text);
  if (/\.npz$/i.test(text)) return openArray(text, withNpz);
  if (/\.safetensors$/i.test(text)) return openArray(text, withSafetensors);
  throw new RangeError(
    `"${text}" holds no images that can be read; give a folder of PNG or JPEG files, a .npz, a .safetensors, or cifar10:test_batch:4000.`,
  );
}

const TEST: Cifar10Batch = 'test_batch';
const TRAIN = CIFAR10_BATCHES.filter((name) => name !== TEST);

/** Data that a registry carries: the names of its parts, and how one is read, from one file or from several. */
const DATASETS: Readonly<
  Record<string, { called: string; parts: readonly string[]; read(part: string, file: number): Promise<ImageSet> }>
> = {
  cifar10: {
    ...{ called: 'CIFAR-10', parts: ['train', 'test', ...CIFAR10_BATCHES] },
    read: (part, file) =>
      cifar10Batch(part === 'train' ? (TRAIN[file] as Cifar10Batch) : part === 'test' ? TEST : (part as Cifar10Batch)),
  },
  mnist: { called: 'MNIST', parts: ['train', 'test'], read: async (part) => (await mnist())[part as 'train'] },
  'fashion-mnist': {
    called: 'Fashion-MNIST',
    parts: ['train', 'test'],
    read: async (part) => (await fashionMnist())[part as 'train'],
  },
};

async function openDataset(text: string): Promise<ImageSource> {
  const [name = '', part = '', count = '', ...more] = text.split(':');
  const { called, parts, read } = DATASETS[name] as (typeof DATASETS)[string];
  if (!parts.includes(part) || !/^(|[1-9]\d*)$/.test(count) || more.length > 0)
    throw new RangeError(`"${text}" is no part of ${called}; it is ${name}:PART:COUNT, PART of ${parts.join(', ')}.`);
  const set = await read(part, 0);
  const split = count ? `${part}:${count}` : part;
  if (name !== 'cifar10' || part !== 'train') return sourceOf(count ? subset(set, Number(count)) : set, called, split);
  const all = TRAIN.length * set.count;
  if (count) checkInteger('count', Number(count), 1, all);
  return sourceOfFiles({ ...sourceOf(set, called, split), count: Number(count || all) }, set.count, (file) =>
    read(part, file),
  );
}

/** Images in files of `each`, of which one is in memory at a time. */
const sourceOfFiles = (about: ImageSource, each: number, open: (file: number) => Promise<ImageSet>): ImageSource => ({
  ...about,
  async read(first, size, give) {
    for (let at = first; at < about.count; ) {
      const file = Math.floor(at / each);
      const { images, count } = await open(file);
      const set = { ...about, count: Math.min(count, about.count - file * each), images };
      await inBatches(set, at - file * each, size, give);
      at = file * each + set.count;
    }
  },
});

/** Opens a file of arrays that are read in parts. */
type WithArrays = <R>(
  path: string,
  body: (file: {
    readonly entries: readonly Heading[];
    rows(entry: { readonly name: string }, count: number): AsyncGenerator<Values>;
  }) => Promise<R>,
) => Promise<R>;

async function openArray(path: string, withArrays: WithArrays): Promise<ImageSource> {
  const { name, shape } = await withArrays(path, async ({ entries }) => arrayOf(path, entries));
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  return {
    ...{ data: path, split: null, count, height, width, channels, stored: true },
    read: (first, size, give) =>
      withArrays(path, async ({ rows }) => {
        const each = height * width * channels;
        let at = 0;
        for await (const values of rows({ name }, size)) {
          const skip = Math.max(0, first - at) * each;
          at += values.length / each;
          if (skip < values.length) await give(values.subarray(skip) as ArrayLike<number>);
        }
      }),
  };
}

/** The one array of images in a file: called `images` or `arr_0`, or the only one with four axes. */
function arrayOf(path: string, entries: readonly Heading[]): Heading {
  const all = entries.map(({ name, dtype, shape }) => `"${name}" ${dtype} [${shape.join(', ')}]`).join('; ');
  const named = entries.filter(({ name }) => name === 'images' || name === 'arr_0');
  const found = named.length > 0 ? named : entries.filter(({ shape }) => shape.length === 4);
  const [one] = found;
  if (!one || found.length > 1)
    throw new DamagedFile(
      `${path} has ${found.length} arrays of images; name one "images" [n, h, w, 3]. It has ${all || 'none'}.`,
    );
  if (one.shape.length !== 4 || !['U8', 'F32', 'F64', 'F16', 'BF16'].includes(one.dtype))
    throw new DamagedFile(`${path}: ${all}; images are [n, h, w, 3], bytes or floats in [−1, 1].`);
  return one;
}

const READ = /\.(png|jpe?g)$/i;
const OTHERS = /\.(webp|gif|bmp|tiff?|avif|heic|jxl|ppm|tga)$/i;

async function openFolder(folder: string): Promise<ImageSource> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const files = names.filter((name) => READ.test(name)).map((name) => join(folder, name));
  const other = names.find((name) => OTHERS.test(name));
  if (other !== undefined) throw new RangeError(`${join(folder, other)} is no PNG or JPEG; convert it.`);
  const [first] = files;
  if (first === undefined) throw new RangeError(`${folder} has no PNG or JPEG files.`);
  const { height, width, channels } = await decodeImage(first);
  const each = height * width * channels;
  return {
    ...{ data: folder, split: null, count: files.length, height, width, channels, stored: true },
    async read(from, size, give) {
      for (let at = from; at < files.length; at += size) {
        const part = files.slice(at, at + size);
        const bytes = new Uint8Array(part.length * each);
        for (const [i, path] of part.entries()) {
          const image = await decodeImage(path);
          if (image.height !== height || image.width !== width)
            throw new RangeError(
              `${path} has ${image.height}×${image.width} pixels and ${first} ${height}×${width}; all images must have one size. Resize them by one rule.`,
            );
          if (image.channels !== channels)
            throw new RangeError(
              `${path} is ${kindOf(image.channels)} and ${first} ${kindOf(channels)}; all images must be of one kind. Convert them.`,
            );
          bytes.set(image.data, i * each);
        }
        await give(bytes);
      }
    },
  };
}

/** The pixels of a PNG or JPEG file of 8 bits a channel, grey or in colours, as they are stored; a JPEG's are in colours. */
async function decodeImage(path: string): Promise<Pixels> {
  const { header, decode } = await openImage(await withFile(path, ({ bytes, read }) => read(0, bytes)), path);
  const { format, channels, bits, palette } = header;
  const refuse = (what: string): never => {
    throw new RangeError(`${path} ${what}; images must be RGB, or grey, with 8 bits a channel. Convert it.`);
  };
  if (format !== 'png' && format !== 'jpeg') refuse(`is ${format} and no PNG or JPEG`);
  if (palette) refuse('has a palette');
  if (bits !== 8) refuse(`has ${bits} bits a channel`);
  if (channels !== 1 && channels !== 3) refuse(`is ${kindOf(channels)}`);
  return decode({ grey: format === 'png' && channels === 1 });
}

const kindOf = (channels: number): string =>
  ({ 1: 'grey', 2: 'grey with transparency', 3: 'in colours', 4: 'of four channels, such as with transparency' })[
    channels
  ] ?? `of ${channels} channels`;
