import { expect, test } from 'vitest';
import { open } from '../test/open-png.js';
import { colorMap, densityMaps } from './index.js';

test('densityMaps puts low y below, the peak in the lightest colour and dots at their coordinates', () => {
  const peak = [...Array(9).keys()].map((i) => (i === 2 ? 4 : 0)); // lowest row, right column
  const png = open(densityMaps({ panels: [{ title: 'p', density: peak, width: 3, height: 3 }], size: 90 }));
  const frame = { left: 86, top: 12 + 44 };
  const lightest = png.where((rgb) => rgb.join() === colorMap(1).join()).filter(([, y]) => y < frame.top + 90);
  for (const [x, y] of lightest) {
    expect(x).toBeGreaterThan(frame.left + 60);
    expect(y).toBeGreaterThan(frame.top + 60);
  }
  expect(lightest.length).toBeGreaterThan(20);
  expect(png.at(frame.left + 15, frame.top + 15)).toEqual(colorMap(0));

  const rows = [
    [0, 0],
    [0, 1],
  ];
  const panel = { title: 'p', density: rows, width: 2, height: 2, x: [-1, 1], y: [-1, 1] } as const;
  const dotted = open(
    densityMaps({
      panels: [
        {
          ...panel,
          points: [
            [-0.5, 0.5],
            [7, 0],
          ],
        },
      ],
      size: 100,
    }),
  );
  const white = dotted
    .where((rgb) => rgb.every((value) => value > 250))
    .filter(([x, y]) => x > frame.left + 2 && x < frame.left + 98 && y > frame.top + 2 && y < frame.top + 98);
  expect(white.length).toBeGreaterThan(3);
  for (const [x, y] of white) expect(Math.hypot(x + 0.5 - frame.left - 25, y + 0.5 - frame.top - 25)).toBeLessThan(3);
});

test('densityMaps shares one range when asked', () => {
  const panel = (value: number) => ({ title: `${value}`, density: [value], width: 1, height: 1 });
  const colors = (range: 'panel' | 'shared') => {
    const png = open(densityMaps({ panels: [panel(1), panel(2)], range, size: 80 }));
    return [png.at(86 + 40, 56 + 40), png.at(86 + 40 + 86 + 22 + 80, 56 + 40)];
  };
  expect(colors('panel')).toEqual([colorMap(1), colorMap(1)]);
  expect(colors('shared')).toEqual([colorMap(0.5), colorMap(1)]);
});

test('densityMaps refuses what is no density', () => {
  const panel = { title: 'p', density: [1, 2], width: 2, height: 1 };
  expect(() => densityMaps({ panels: [] })).toThrow('panels is empty');
  expect(() => densityMaps({ panels: [{ ...panel, density: [1] }] })).toThrow(
    'panel "p" has 1 values; 2 × 1 cells need 2.',
  );
  expect(() => densityMaps({ panels: [{ ...panel, density: [1, Number.NaN] }] })).toThrow(
    'holds NaN in row 0, column 1',
  );
  expect(() => densityMaps({ panels: [{ ...panel, density: [-1, 1] }] })).toThrow('holds -1');
  expect(() => densityMaps({ panels: [{ ...panel, x: [1, 1] }] })).toThrow('runs from 1 to 1');
  expect(() => densityMaps({ panels: [{ ...panel, points: [[0, Number.NaN]] }] })).toThrow('point 0 of panel "p"');
});

test('equal steps of the colour map are equal steps of lightness, and every colour is within sRGB', () => {
  const lightness = (rgb: readonly number[]) => {
    const [r, g, b] = rgb.map((byte) => {
      const value = byte / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    return 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
  };
  // A colour cut off at the edge of sRGB would miss its lightness.
  for (let t = 0; t <= 1; t += 1 / 64) expect(Math.abs(lightness(colorMap(t)) - (0.22 + 0.72 * t))).toBeLessThan(0.004);
  expect([colorMap(-1), colorMap(2)]).toEqual([colorMap(0), colorMap(1)]);
});
