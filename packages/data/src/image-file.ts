import { DamagedFile } from '@logsnr/io';
import { withFile } from '@logsnr/io/node';
import sharp, { type Metadata } from 'sharp';
import { centerCrop } from './center-crop.js';
import { forEach } from './for-each.js';
import type { Pixels } from './resample.js';

/** Where the bytes of an image are: a file, or a part of one. */
export interface Place {
  readonly path: string;
  /** What the part is called. */
  readonly member?: string;
  readonly offset: number;
  readonly bytes: number;
}

/** What an image is called in messages. */
export const nameOf = ({ path, member }: Place): string => (member === undefined ? path : `${path}: ${member}`);

export type Rgb = readonly [red: number, green: number, blue: number];

/** What images are made into. */
export interface ImageForm {
  /** Height and width. */
  readonly size: number;
  readonly channels: 1 | 3;
  /** What is seen through transparent pixels, 0 … 255; without one, images with transparency are refused. */
  readonly background?: Rgb | undefined;
}

/** More pixels than this are no photograph; decoding them would take the memory. */
const MOST = 2 ** 26;

/**
 * The images at these places, one after another, as `form` has them: NHWC.
 * @throws DamagedFile that names an image and says why it cannot be had.
 */
export async function readImages(places: readonly Place[], form: ImageForm): Promise<Uint8Array> {
  const each = form.size * form.size * form.channels;
  const images = new Uint8Array(places.length * each);
  await forEach(places, AT_ONCE, async (place, i) => {
    images.set(centerCrop(await decoded(await bytesOf(place), nameOf(place), form), form.size).data, i * each);
  });
  return images;
}

const AT_ONCE = 4;
const bytesOf = ({ path, offset, bytes }: Place) => withFile(path, ({ read }) => read(offset, bytes));

/** Decodes an image, so that all that is wrong with it is found. */
export const checkWhole = async (place: Place, form: ImageForm): Promise<void> =>
  void (await decoded(await bytesOf(place), nameOf(place), form));

/** Checks an image by its first and last bytes, and in full where these leave a doubt. */
export async function checkHeader(place: Place, form: ImageForm): Promise<void> {
  const whole = await withFile(place.path, async ({ read }) => {
    const { offset, bytes } = place;
    const head = await read(offset, Math.min(bytes, HEAD));
    const tail = await read(offset + Math.max(0, bytes - TAIL), Math.min(bytes, TAIL));
    const metadata =
      bytes > 0 &&
      (await open(head)
        .metadata()
        .catch(() => undefined));
    if (!metadata || !ends(metadata.format, tail)) return read(offset, bytes);
    assertSuitable(metadata, nameOf(place), form);
  });
  if (whole) await decoded(whole, nameOf(place), form);
}

const [HEAD, TAIL] = [2 ** 16, 2 ** 10];

/** Whether the last bytes have the mark of the format's end. WebP's length stands in its header, where decoding looks at it. */
function ends(format: string | undefined, tail: Uint8Array): boolean {
  const text = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  return format === 'webp' || text.includes(format === 'png' ? 'IEND' : '\xff\xd9', 0, 'latin1');
}

// Colour profiles are left aside, as other tools for training do.
const open = (bytes: Uint8Array) => sharp(bytes, { ignoreIcc: true, limitInputPixels: MOST });

async function decoded(bytes: Uint8Array, name: string, form: ImageForm): Promise<Pixels> {
  const damaged = (error: unknown): never => {
    const message = (error as Error).message.trim().replaceAll('\n', '; ');
    // What the decoder warned of is not always told.
    const why = message.includes('failOn') ? 'it is cut short, or bytes of it are wrong' : message;
    throw new DamagedFile(`${name} is no sound image: ${why}.`);
  };
  if (bytes.length === 0) throw new DamagedFile(`${name} is empty.`);
  const image = open(bytes);
  const metadata = await image.metadata().catch(damaged);
  assertSuitable(metadata, name, form);
  const [r, g, b] = form.background ?? [0, 0, 0];
  const flat = metadata.hasAlpha ? image.flatten({ background: { r, g, b } }) : image;
  // 16 bits a channel become 8: the high ones.
  const { data, info } = await flat
    .autoOrient()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch(damaged);
  const { height, width } = info;
  return form.channels === 3 ? { data, height, width, channels: 3 } : { data: grey(data), height, width, channels: 1 };
}

function assertSuitable({ format, pages = 1, width, height, hasAlpha }: Metadata, name: string, form: ImageForm): void {
  const refuse = (what: string): never => {
    throw new DamagedFile(`${name} ${what}`);
  };
  if (format !== 'jpeg' && format !== 'png' && format !== 'webp')
    refuse(`is ${format}; JPEG, PNG and WebP are read. Convert it.`);
  if (pages > 1) refuse(`is a film of ${pages} frames. Take one of them.`);
  if (width * height > MOST) refuse(`has ${height}×${width} pixels; the most are ${MOST} in all. Make it smaller.`);
  if (hasAlpha && !form.background)
    refuse('has transparency; give a background, such as [255, 255, 255], or save it without.');
}

/** Luma of ITU-R 601, as Pillow has it. */
function grey(rgb: Uint8Array): Uint8Array {
  const luma = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < luma.length; i++)
    luma[i] =
      (19595 * (rgb[3 * i] as number) +
        38470 * (rgb[3 * i + 1] as number) +
        7471 * (rgb[3 * i + 2] as number) +
        0x8000) >>
      16;
  return luma;
}
