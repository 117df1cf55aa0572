import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { checkChoice, checkIndices, checkInteger, checkKnown, checkWithin } from '@logsnr/core';
import { DamagedFile } from '@logsnr/io';
import * as v from 'valibot';
import type { ImageDataset } from './dataset.js';
import { forEach } from './for-each.js';
import { checkHeader, checkWhole, type ImageForm, nameOf, type Place, type Rgb } from './image-file.js';
import { imageReader } from './image-reader.js';
import type { Labels } from './image-set.js';
import { remembered } from './remembered.js';

/** A file that cannot be trained on. */
export interface BrokenImage {
  readonly name: string;
  /** A sentence that names the file. */
  readonly reason: string;
}

export interface ImageFilesOptions {
  /** Height and width that images are resized and cropped to. */
  readonly size: number;
  /** 3 for RGB, 1 for grey. 3 unless given. */
  readonly channels?: 1 | 3;
  /** What is seen through transparent pixels, in 0 … 255. Without it, images with transparency count as broken. */
  readonly background?: Rgb;
  /** Whether broken files are an error, which names each, or are left out. "refuse" unless given. */
  readonly broken?: 'refuse' | 'skip';
  /**
   * How broken files are looked for: by their first and last bytes, or by decoding each file. "header" unless given; damage in the
   * middle of a file is then an error of the batch that has it.
   */
  readonly check?: 'header' | 'decode';
  /** A class with fewer images is an error. 2 unless given. */
  readonly leastPerClass?: number;
  /** How many threads read. One less than the processor has, up to 4, unless given; with 0, the caller's thread does. */
  readonly threads?: number;
  /** Gets each file that is left out. */
  readonly onBroken?: (image: BrokenImage) => void;
  /** Gets how many files are checked. */
  readonly onProgress?: (done: number, of: number) => void;
  readonly env?: NodeJS.ProcessEnv;
}

/** Images that were found, and are not looked into yet. */
export interface Listing {
  /** What holds them, for messages. */
  readonly where: string;
  readonly classNames: readonly string[];
  readonly images: readonly Listed[];
  /** What cannot be listed as an image. */
  readonly broken: readonly BrokenImage[];
}

export interface Listed {
  readonly place: Place;
  readonly label: number;
  /** What the image is called wherever the data lie: by it, the data are the same. */
  readonly name: string;
  /** When its file was changed, in milliseconds. */
  readonly changed: number;
}

const READ = /\.(jpe?g|png|webp)$/i;
const OTHERS = /\.(gif|bmp|tiff?|avif|hei[cf]|jxl|jp2|ppm|tga|svg|psd|raw|cr2|nef|dng)$/i;
/** Whether a file is meant as an image, by its name. */
export const isImage = (name: string) => READ.test(name) || OTHERS.test(name);
/** Whether it is of a kind that is read. */
export const isRead = (name: string) => READ.test(name);

const NAMES = 'size channels background broken check leastPerClass threads onBroken onProgress env'.split(' ');

/** @throws RangeError on options that cannot be. */
export function checkOptions(options: ImageFilesOptions): void {
  checkKnown('options', options, NAMES);
  const { size, channels = 3, background = [0, 0, 0], broken = 'refuse', check = 'header' } = options;
  checkInteger('size', size, 1);
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`channels is ${channels}; it must be 3, for RGB, or 1, for grey.`);
  if (background.length !== 3) throw new RangeError(`background is [${background}]; it must be [red, green, blue].`);
  for (const [i, value] of background.entries()) checkWithin(`background[${i}]`, value, 0, 255);
  checkChoice('broken', broken, ['refuse', 'skip']);
  checkChoice('check', check, ['header', 'decode']);
  checkInteger('leastPerClass', options.leastPerClass ?? 2, 1);
  checkInteger('threads', options.threads ?? 0);
}

/** The images of a listing as a dataset, once they are checked. */
export async function datasetOfListing(listing: Listing, options: ImageFilesOptions): Promise<ImageDataset> {
  const { size, channels = 3, background, broken = 'refuse', leastPerClass = 2 } = options;
  const { threads = Math.max(1, Math.min(4, availableParallelism() - 1)) } = options;
  const form: ImageForm = { size, channels, background };
  const reasons = await brokenOf(listing, form, options);
  const all = [...listing.broken];
  const images = listing.images.filter(({ place }, i) => {
    const reason = reasons.get(i);
    if (reason !== undefined) all.push({ name: nameOf(place), reason });
    return reason === undefined;
  });
  if (broken === 'refuse' && all.length > 0) throw refusal(listing, all);
  for (const one of all) options.onBroken?.(one);
  checkClasses(listing, images, leastPerClass);
  const { classNames } = listing;
  const reader = imageReader(form, threads);
  return {
    ...{ count: images.length, height: size, width: size, channels },
    ...{ classes: classNames.length, classNames, labels: labelsOf(images, classNames.length) },
    async read(indices) {
      checkIndices('index', indices, images.length);
      return reader.read(Array.from(indices, (index) => (images[index] as Listed).place));
    },
    hash: async () => hashOf(images, ({ name, label, place }) => [name, label, place.bytes]),
    close: reader.close,
  };
}

function labelsOf(images: readonly Listed[], classes: number): Labels {
  const Kind = classes <= 2 ** 8 ? Uint8Array : classes <= 2 ** 16 ? Uint16Array : Int32Array;
  const labels = new Kind(images.length);
  labels.set(images.map(({ label }) => label));
  return labels;
}

/** SHA-256 of what is said of each image. */
function hashOf(images: readonly Listed[], said: (image: Listed) => readonly unknown[]): string {
  const hash = createHash('sha256');
  for (const image of images) hash.update(`${JSON.stringify(said(image))}\n`);
  return hash.digest('hex');
}

/**
 * Why images are broken, by their number. What was found is remembered, so the same files are not looked at again when a run
 * goes on.
 */
async function brokenOf(
  { images }: Listing,
  form: ImageForm,
  { check = 'header', onProgress, env }: ImageFilesOptions,
): Promise<ReadonlyMap<number, string>> {
  const files = hashOf(images, ({ place, changed }) => [nameOf(place), place.offset, place.bytes, changed]);
  const found = await remembered(
    ['checked images', files, check, form.background !== undefined],
    v.array(v.tuple([v.pipe(v.number(), v.integer()), v.string()])),
    async () => {
      const reasons: [number, string][] = [];
      let done = 0;
      const look = check === 'header' ? checkHeader : checkWhole;
      await forEach(images, AT_ONCE, async ({ place }, i) => {
        await look(place, form).catch((error: Error) => reasons.push([i, error.message]));
        onProgress?.(++done, images.length);
      });
      return reasons.sort(([a], [b]) => a - b);
    },
    env,
  );
  return new Map(found);
}

const AT_ONCE = 8;
const NAMED = 100;

function refusal({ where, images }: Listing, broken: readonly BrokenImage[]): Error {
  const reasons = broken.slice(0, NAMED).map(({ reason }) => `\n  ${reason}`);
  const more = broken.length > NAMED ? `\n  and ${broken.length - NAMED} more.` : '';
  return new DamagedFile(
    `${where} has ${broken.length} broken of ${images.length} images. Mend or remove them, or pass broken: "skip".${reasons.join('')}${more}`,
  );
}

function checkClasses({ where, classNames }: Listing, images: readonly Listed[], least: number): void {
  const counts = new Array<number>(classNames.length).fill(0);
  for (const { label } of images) counts[label] = (counts[label] as number) + 1;
  const small = counts.flatMap((count, label) => (count < least ? [`"${classNames[label]}" has ${count}`] : []));
  if (small.length === 0) return;
  const more = small.length > 10 ? `, and ${small.length - 10} more such classes` : '';
  throw new RangeError(
    `${where}: of class ${small.slice(0, 10).join(', ')}${more}; a class has at least ${least} images (leastPerClass). Add images, or remove the class.`,
  );
}
