import { checkInteger } from '@logsnr/core';
import { blank, checkImage, overlay, place, type RgbImage } from './canvas.js';
import { encodePng } from './png.js';
import { line, rasterize, svg, textWidth } from './text.js';

export interface CaptionedRow {
  /** Text to the left of the row; a line break starts a new line. */
  caption: string;
  images: readonly RgbImage[];
}

export interface CaptionedGrid {
  title?: string;
  rows: readonly CaptionedRow[];
  /** Text above each column. */
  columnCaptions?: readonly string[];
  /** Each pixel of an image becomes `scale` × `scale` pixels; default 2. */
  scale?: number;
  /** Pixels between images; default 12. */
  gap?: number;
  /** Pixels; default 20. */
  fontSize?: number;
}

/**
 * Rows of pictures with a caption to the left of each, on white, as a PNG: for example one row of samples for each
 * guidance weight w. Pictures are enlarged without blur; rows and columns are as large as their largest content.
 * @throws RangeError if there is nothing to draw, a picture's size and bytes disagree, or an option is out of range.
 */
export function captionedGrid(grid: CaptionedGrid): Uint8Array {
  const { title, rows, columnCaptions = [], scale = 2, gap = 12, fontSize: size = 20 } = grid;
  if (rows.length === 0) throw new RangeError('rows is empty; a grid has at least one row.');
  for (const [r, { caption, images }] of rows.entries()) {
    if (images.length === 0) throw new RangeError(`row ${r} ("${caption}") has no images.`);
    for (const [c, image] of images.entries()) checkImage(`image ${c} of row ${r} ("${caption}")`, image);
  }
  checkInteger('scale', scale, 1);
  checkInteger('gap', gap, 0);
  checkInteger('fontSize', size, 6);
  const lineHeight = Math.ceil(1.35 * size);
  const margin = size;
  const titleStyle = { size: Math.round(1.3 * size), bold: true };

  const columns = Math.max(columnCaptions.length, ...rows.map(({ images }) => images.length));
  const captions = rows.map(({ caption }) => caption.split('\n'));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.ceil(
      Math.max(
        textWidth(columnCaptions[c] ?? '', { size }),
        ...rows.map(({ images }) => (images[c]?.width ?? 0) * scale),
      ),
    ),
  );
  const heights = rows.map(({ images }, r) =>
    Math.max((captions[r]?.length ?? 0) * lineHeight, ...images.map((image) => image.height * scale)),
  );
  const captionWidth = Math.ceil(
    Math.max(...captions.flat().map((text) => (text === '' ? 0 : textWidth(text, { size })))),
  );
  const left = margin + captionWidth + (captionWidth > 0 ? size : 0);
  const top = margin + (title ? 2 * titleStyle.size : 0) + (columnCaptions.length > 0 ? lineHeight : 0);
  const sum = (values: number[]) => values.reduce((total, value) => total + value + gap, -gap);
  const titleRight = title ? margin + textWidth(title, titleStyle) : 0;
  const canvas = blank(Math.ceil(Math.max(left + sum(widths), titleRight)) + margin, top + sum(heights) + margin);

  const text: string[] = [];
  if (title) text.push(line(title, margin, margin + titleStyle.size, titleStyle));
  const leftOf = (c: number) => left + widths.slice(0, c).reduce((total, width) => total + width + gap, 0);
  columnCaptions.forEach((caption, c) => {
    const middle = leftOf(c) + (widths[c] as number) / 2;
    text.push(line(caption, middle, top - 0.45 * size, { size, anchor: 'middle' }));
  });
  let y = top;
  rows.forEach(({ images }, r) => {
    const height = heights[r] as number;
    const lines = captions[r] as string[];
    lines.forEach((caption, i) => {
      const baseline = y + height / 2 + (i - (lines.length - 1) / 2) * lineHeight + 0.36 * size;
      text.push(line(caption, left - size, baseline, { size, anchor: 'end' }));
    });
    images.forEach((image, c) => {
      const [width, rest] = [image.width * scale, height - image.height * scale];
      place(
        canvas,
        image,
        leftOf(c) + Math.floor(((widths[c] as number) - width) / 2),
        y + Math.floor(rest / 2),
        scale,
      );
    });
    y += height + gap;
  });
  overlay(canvas, rasterize(svg(canvas.width, canvas.height, text.join(''))));
  return encodePng(canvas);
}
