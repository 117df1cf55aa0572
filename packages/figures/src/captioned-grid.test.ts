import { expect, test } from 'vitest';
import { type Color, dark, GREEN, MAGENTA, open, picture } from '../test/open-png.js';
import { captionedGrid } from './index.js';
import { textWidth } from './text.js';

test('captionedGrid enlarges images into crisp squares, in rows and columns', () => {
  const png = open(
    captionedGrid({
      rows: [
        { caption: '', images: [picture(2, MAGENTA, GREEN), picture(1, [0, 0, 255])] },
        { caption: '', images: [picture(1, [255, 255, 0])] },
      ],
      scale: 3,
      gap: 5,
      fontSize: 10,
    }),
  );
  // Margins of 10; a first row of one pixel's height (but at least a line of caption, 14).
  expect(png.box(MAGENTA)).toEqual({ left: 10, right: 12, top: 15, bottom: 17, count: 9 });
  expect(png.box(GREEN)).toEqual({ left: 13, right: 15, top: 15, bottom: 17, count: 9 });
  expect(png.box([0, 0, 255])).toMatchObject({ left: 21, right: 23, count: 9 });
  expect(png.box([255, 255, 0])).toMatchObject({ top: 34, bottom: 36, count: 9 });
  expect([png.width, png.height]).toEqual([34, 53]);
});

test('captionedGrid writes each caption left of its row, titles and column captions above', () => {
  const block = picture(8, ...Array<Color>(64).fill(MAGENTA));
  const rows = [
    { caption: 'w = 0', images: [block] },
    { caption: '', images: [block] },
    { caption: 'w = 3\nFID 7', images: [block] },
  ];
  const png = open(captionedGrid({ title: 'A title wider than all of it', columnCaptions: ['col'], rows, scale: 8 }));
  const { left, top, bottom } = png.box(MAGENTA);
  const beside = (from: number, to: number) =>
    png.where(dark).filter(([x, y]) => x < left && y >= from && y < to).length;
  const height = (bottom - top + 1 - 2 * 12) / 3;
  expect(height).toBe(64);
  expect(beside(top, top + height)).toBeGreaterThan(40);
  expect(beside(top + height + 12, top + 2 * height + 12)).toBe(0);
  expect(beside(top + 2 * height + 24, bottom + 1)).toBeGreaterThan(100);
  expect(png.where(dark).filter(([x, y]) => x >= left && y > top - 27 && y < top).length).toBeGreaterThan(20);
  // The picture is wide enough for its title.
  expect(png.where(dark).filter(([x]) => x >= png.width - 8)).toHaveLength(0);
  expect(png.width).toBeGreaterThan(left + 64 + 100);
});

test('captionedGrid refuses what it cannot draw', () => {
  expect(() => captionedGrid({ rows: [] })).toThrow('rows is empty');
  expect(() => captionedGrid({ rows: [{ caption: 'w = 1', images: [] }] })).toThrow('row 0 ("w = 1") has no images');
  const wrong = { data: new Uint8Array(4), width: 1, height: 1 };
  expect(() => captionedGrid({ rows: [{ caption: 'a', images: [wrong] }] })).toThrow(
    'image 0 of row 0 ("a") has 4 bytes',
  );
  expect(() => captionedGrid({ rows: [{ caption: 'a', images: [picture(1, GREEN)] }], scale: 1.5 })).toThrow(
    /scale is 1.5/,
  );
});

test('text is measured in the font that draws it', () => {
  expect(textWidth('mm', { size: 20 })).toBeGreaterThan(1.9 * textWidth('m', { size: 20 }));
  expect(textWidth('wide', { size: 20, bold: true })).toBeGreaterThan(textWidth('wide', { size: 20 }));
  expect(textWidth('λ', { size: 40 })).toBeCloseTo(2 * textWidth('λ', { size: 20 }), 9);
});
