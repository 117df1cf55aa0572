import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { checkChoice } from '@logsnr/core';
import { DamagedFile } from '@logsnr/io';
import { type ClassifierExtractorOptions, type ClassifierSpec, classifierExtractor } from './classifier-file.js';
import type { DirectExtractor } from './extractor.js';

const grey = { height: 28, width: 28, channels: 1, classes: 10 };

/** The classifiers that come with this package, by the data that they tell the classes of. */
export const PACKAGED_CLASSIFIERS = {
  mnist: { kind: 'conv-classifier', config: { ...grey, widths: [16, 32], features: 64 } },
  'fashion-mnist': { kind: 'conv-classifier', config: { ...grey, widths: [32, 64], features: 64 } },
  cifar10: {
    kind: 'residual-classifier',
    config: { height: 32, width: 32, channels: 3, classes: 10, widths: [16, 64, 128, 128] },
  },
} as const satisfies Record<string, ClassifierSpec>;

export type PackagedClassifier = keyof typeof PACKAGED_CLASSIFIERS;

/** What is known of a classifier that comes with this package. */
export interface ClassifierRecord {
  /** The share of `images` test images, `data`, that it reads right, in [0, 1]. */
  readonly accuracy: number;
  readonly images: number;
  readonly data: string;
  /** The SHA-256 of its file. */
  readonly sha256: string;
  /** What it was trained by, with how many steps of how many images. */
  readonly command: string;
  readonly steps: number;
  readonly batch: number;
}

/** The folder of weights, beside `src` and `dist`. */
const weights = new URL('../weights/', import.meta.url);

/**
 * A small classifier that comes with this package as an extractor, with what is known of it: of `mnist`,
 * `fashion-mnist` or `cifar10`. Its Fréchet distances and Inception Scores compare with its own alone.
 * @throws DamagedFile where its file is not the one that was shipped.
 */
export async function packagedClassifier(
  name: PackagedClassifier,
  options: ClassifierExtractorOptions = {},
): Promise<DirectExtractor & ClassifierRecord> {
  checkChoice('the classifier', name, Object.keys(PACKAGED_CLASSIFIERS));
  const records = JSON.parse(await readFile(new URL('classifiers.json', weights), 'utf8'));
  const record = records[name] as ClassifierRecord;
  const path = fileURLToPath(new URL(`${name}.safetensors`, weights));
  const extractor = await classifierExtractor(path, options);
  if (extractor.sha256 !== record.sha256) {
    extractor.dispose();
    throw new DamagedFile(`${path} has the SHA-256 ${extractor.sha256}, not ${record.sha256}.`);
  }
  return { ...record, ...extractor };
}
