import { readFile } from 'node:fs/promises';
import { captionedGrid, encodePng, imageGrid, type RgbImage } from '@logsnr/figures';
import { codeOf } from '@logsnr/io/node';
import { decode } from 'fast-png';
import { cellFile } from './sweep-cells.js';
import type { Row } from './sweep-table.js';

/** A cell's picture has its first samples, so many a row and so many pixels apart. */
export const SHOWN = 40;
const [COLUMNS, GAP] = [20, 2];

/** The picture of a cell, of the values of its first samples. */
export const cellPicture = (
  data: ArrayLike<number>,
  shape: readonly [count: number, height: number, width: number, channels: number],
): Uint8Array => encodePng(imageGrid({ data, shape }, { columns: COLUMNS, gap: GAP }));

const pictureOf = async (out: string, row: Row): Promise<RgbImage | undefined> => {
  const png = await readFile(cellFile(out, row, 'png')).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
  if (!png) return undefined;
  const { width, height, data } = decode(png);
  return { width, height, data: data as Uint8Array };
};

/** All w at the largest T, one below the other, and a column for each model; undefined where no cell has a picture. */
export async function samplesPicture(
  out: string,
  rows: readonly Row[],
  models: readonly string[],
): Promise<Uint8Array | undefined> {
  const most = mostSteps(rows);
  const lines = await Promise.all(
    [...new Set(most.map(({ w }) => w))]
      .sort((a, b) => a - b)
      .map(async (w) => {
        const own = most.filter((row) => row.w === w).sort((a, b) => models.indexOf(a.model) - models.indexOf(b.model));
        const images = (await Promise.all(own.map((row) => pictureOf(out, row)))).filter(
          (image) => image !== undefined,
        );
        return { caption: `w = ${w}\nT = ${own[0]?.steps}`, images };
      }),
  );
  const shown = lines.filter(({ images }) => images.length === models.length);
  if (shown.length === 0) return undefined;
  return captionedGrid({
    title: 'One noise, growing guidance weight w',
    ...(models.length > 1 ? { columnCaptions: models } : {}),
    scale: models.length === 1 && (shown[0]?.images[0]?.width ?? 0) < 700 ? 2 : 1,
    rows: shown,
  });
}

/** Samples of each model without guidance and at w = 3, or what is nearest, side by side; undefined where there is but one w. */
export async function guidedPicture(
  out: string,
  rows: readonly Row[],
  models: readonly string[],
): Promise<Uint8Array | undefined> {
  const most = mostSteps(rows);
  const nearest = (wanted: number) =>
    most.reduce((best, row) => (Math.abs(row.w - wanted) < Math.abs(best.w - wanted) ? row : best)).w;
  const weights = [nearest(0), nearest(3)];
  if (weights[0] === weights[1]) return undefined;
  const lines = await Promise.all(
    models.map(async (model) => {
      const own = weights.map((w) => most.find((row) => row.model === model && row.w === w));
      const pictures = await Promise.all(own.map((row) => row && pictureOf(out, row)));
      const images = pictures.flatMap((picture, i) => (picture ? [regridded(picture, (own[i] as Row).samples)] : []));
      return { caption: models.length > 1 ? model : '', images };
    }),
  );
  const shown = lines.filter(({ images }) => images.length === 2);
  if (shown.length === 0) return undefined;
  return captionedGrid({
    title: 'The same noise without and with guidance',
    columnCaptions: weights.map((w) => `w = ${w}`),
    rows: shown,
  });
}

const mostSteps = (rows: readonly Row[]): Row[] => {
  const most = Math.max(...rows.map(({ steps }) => steps));
  return rows.filter(({ steps }) => steps === most);
};

/** The samples of a cell's picture in rows of 8. */
function regridded({ width, height, data }: RgbImage, samples: number): RgbImage {
  const count = Math.min(SHOWN, samples);
  const across = (width + GAP) / COLUMNS;
  const down = (height + GAP) / Math.ceil(count / COLUMNS);
  const [w, h] = [across - GAP, down - GAP];
  const values = new Float32Array(count * h * w * 3);
  for (let n = 0; n < count; n++)
    for (let y = 0; y < h; y++) {
      const from = 3 * ((Math.floor(n / COLUMNS) * down + y) * width + (n % COLUMNS) * across);
      const to = 3 * w * (n * h + y);
      for (let i = 0; i < 3 * w; i++) values[to + i] = (data[from + i] as number) / 127.5 - 1;
    }
  return imageGrid({ data: values, shape: [count, h, w, 3] }, { columns: 8 });
}
