import { readdir, stat } from 'node:fs/promises';
import { datasetOf, type ImageDataset } from '@logsnr/data';
import { cifar10, fashionMnist, type ImageFilesOptions, imageFolder, mnist, tarShards } from '@logsnr/data/node';
import { say } from '@logsnr/io/node';

/** Datasets that come by themselves. */
const NAMED = {
  mnist: async () => datasetOf((await mnist()).train),
  'fashion-mnist': async () =>
    datasetOf((await fashionMnist()).train, {
      classNames: ['T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'boot'],
    }),
  cifar10: async () =>
    datasetOf((await cifar10()).train, {
      classNames: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
    }),
};

export const DATASETS = Object.keys(NAMED);

/** How a folder of images is read. */
export interface FolderOptions {
  readonly size: number;
  readonly channels: number;
  readonly skipBroken: boolean;
}

/**
 * The training images that a text names: one of {@link DATASETS}, a folder `class/name.jpg`, or shards: a `.tar` or a folder of them.
 * @throws RangeError where there is neither.
 */
export async function openDataset(text: string, { size, channels, skipBroken }: FolderOptions): Promise<ImageDataset> {
  if (Object.hasOwn(NAMED, text)) return NAMED[text as keyof typeof NAMED]();
  const stats = await stat(text).catch(() => undefined);
  if (!stats)
    throw new RangeError(
      `there is no folder "${text}"; give one of class/name.jpg or of .tar files, or ${DATASETS.join(', ')}.`,
    );
  const shards = !stats.isDirectory() || (await readdir(text)).some((name) => name.endsWith('.tar'));
  const options: ImageFilesOptions = {
    ...{ size, channels: channels as 1 | 3, broken: skipBroken ? 'skip' : 'refuse' },
    onBroken: ({ name, reason }) => say(`left out: ${name}: ${reason}`),
  };
  if (!shards) return imageFolder(text, options);
  return tarShards(stats.isDirectory() ? text : [text], options);
}
