import { DamagedFile } from '@logsnr/io';
import { withFile } from '@logsnr/io/node';
import { centerCrop } from './center-crop.js';
import { forEach } from './for-each.js';
import { type ImageHeader, openImage } from './open-image.js';
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
    const opened = await openImage(head, nameOf(place)).catch(() => undefined);
    if (!opened || !ends(opened.header.format, tail)) return read(offset, bytes);
    assertSuitable(opened.header, nameOf(place), form);
  });
  if (whole) await decoded(whole, nameOf(place), form);
}

const [HEAD, TAIL] = [2 ** 16, 2 ** 10];

/** Whether the last bytes have the mark of the format's end. WebP's length stands in its header, where decoding looks at it. */
function ends(format: string, tail: Uint8Array): boolean {
  const text = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  return format === 'webp' || text.includes(format === 'png' ? 'IEND' : '\xff\xd9', 0, 'latin1');
}

async function decoded(bytes: Uint8Array, name: string, form: ImageForm): Promise<Pixels> {
  const { header, decode } = await openImage(bytes, name);
  assertSuitable(header, name, form);
  const image = await decode({ background: form.background, upright: true });
  return form.channels === 3 ? image : { ...image, data: grey(image.data), channels: 1 };
}

function assertSuitable({ format, frames, transparency }: ImageHeader, name: string, form: ImageForm): void {
  const refuse = (what: string): never => {
    throw new DamagedFile(`${name} ${what}`);
  };
  if (!['jpeg', 'png', 'webp'].includes(format)) refuse(`is ${format}; JPEG, PNG and WebP are read. Convert it.`);
  if (frames > 1) refuse(`is a film of ${frames} frames. Take one of them.`);
  if (transparency && !form.background)
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
