import { DamagedFile } from '@logsnr/io';
import sharp from 'sharp';
import type { Pixels } from './resample.js';

/** What the first bytes of an image file say. */
export interface ImageHeader {
  /** Such as `jpeg`, `png` or `webp`. */
  readonly format: string;
  readonly height: number;
  readonly width: number;
  /** Of what is stored: 1 for grey, 3 for RGB, one more with transparency, 4 for CMYK too. */
  readonly channels: number;
  /** In a channel. */
  readonly bits: number;
  readonly palette: boolean;
  readonly transparency: boolean;
  readonly frames: number;
}

export interface DecodeOptions {
  /** What is seen through transparent pixels. Black unless given. */
  readonly background?: readonly [red: number, green: number, blue: number] | undefined;
  /** Turns the image as the file says that it lies. */
  readonly upright?: boolean;
  /** One channel for an image in grey, and not three. */
  readonly grey?: boolean;
}

/** An image file whose header is read. */
export interface OpenImage {
  readonly header: ImageHeader;
  /**
   * Its pixels with 8 bits a channel, the high ones of 16. Colour profiles are left aside, as other tools do.
   * @throws DamagedFile where they cannot be had, or are not sound.
   */
  decode(options?: DecodeOptions): Promise<Pixels>;
}

/** More pixels than this are no photograph; decoding them would take the memory. */
const MOST = 2 ** 26;

/**
 * Opens the bytes of an image file, called `name` in messages. The first bytes of one may be enough to read its header. Node only.
 * @throws DamagedFile where they are no image, or one of more than 2²⁶ pixels.
 */
export async function openImage(bytes: Uint8Array, name: string): Promise<OpenImage> {
  const damaged = (error: unknown): never => {
    const message = (error as Error).message
      .trim()
      .replaceAll('\n', '; ')
      .replace(/[\s:;.]+$/, '');
    // What the decoder warned of is not always told.
    const why = message.includes('failOn') ? 'it is cut short, or bytes of it are wrong' : message;
    throw new DamagedFile(`${name} is no sound image: ${why}.`);
  };
  if (bytes.length === 0) throw new DamagedFile(`${name} is empty.`);
  const image = sharp(bytes, { ignoreIcc: true, limitInputPixels: false });
  const { format, width, height, channels, bitsPerSample, depth, isPalette, hasAlpha, pages } = await image
    .metadata()
    .catch(damaged);
  if (width * height > MOST)
    throw new DamagedFile(`${name} has ${height}×${width} pixels; the most are ${MOST} in all. Make it smaller.`);
  const bits = bitsPerSample ?? (depth === 'uchar' ? 8 : 16);
  return {
    header: {
      ...{ format, height, width, channels, bits, palette: isPalette, transparency: hasAlpha, frames: pages ?? 1 },
    },
    async decode({ background: [r, g, b] = [0, 0, 0], upright = false, grey = false } = {}) {
      const flat = hasAlpha ? image.clone().flatten({ background: { r, g, b } }) : image.clone();
      const { data, info } = await (upright ? flat.autoOrient() : flat)
        .toColourspace(grey ? 'b-w' : 'srgb')
        .raw()
        .toBuffer({ resolveWithObject: true })
        .catch(damaged);
      return { data, height: info.height, width: info.width, channels: info.channels };
    },
  };
}
