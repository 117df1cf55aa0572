import { checkChoice, checkInteger } from '@logsnr/core';
import { blank, overlay, place, type RgbImage } from './canvas.js';
import { colorMap } from './color-map.js';
import { checkPanel, type DensityPanel, heatMap, peakOf } from './density-panel.js';
import { encodePng } from './png.js';
import { line, rasterize, svg, textWidth } from './text.js';
import { ticks } from './ticks.js';

export interface DensityMaps {
  title?: string;
  panels: readonly DensityPanel[];
  /** Panels a row; default all, at most 4. */
  columns?: number;
  /** `panel`: each panel's colours run from 0 to its own peak, the default; `shared`: to the highest peak of all. */
  range?: 'panel' | 'shared';
  /** Pixels of a panel's longer side; default 360. */
  size?: number;
  /** Under and beside each panel; default x and y. */
  xLabel?: string;
  yLabel?: string;
}

const FONT = 18;
const [LEFT, RIGHT, ABOVE, BELOW] = [86, 22, 44, 66];

/**
 * Two-dimensional densities side by side as heat maps with axes, samples drawn over them as dots, as a PNG. Dark is 0 and
 * light is the peak. Dots beyond a panel's edges are left out.
 * @throws RangeError if there is no panel, or a panel's numbers are negative, not finite or not as many as its size says.
 */
export function densityMaps(maps: DensityMaps): Uint8Array {
  const { title, panels, range = 'panel', size = 360, xLabel = 'x', yLabel = 'y' } = maps;
  if (panels.length === 0) throw new RangeError('panels is empty; give at least one density.');
  panels.forEach(checkPanel);
  const { columns = Math.min(panels.length, 4) } = maps;
  checkInteger('columns', columns, 1);
  checkInteger('size', size, 50);
  checkChoice('range', range, ['panel', 'shared']);

  const highest = Math.max(...panels.map(peakOf));
  const drawn = panels.map((panel) => heatMap(panel, size, range === 'shared' ? highest : peakOf(panel)));
  const cellWidth = LEFT + RIGHT + Math.max(...drawn.map((map) => map.width), ...panels.map(titleWidth));
  const cellHeight = ABOVE + BELOW + Math.max(...drawn.map((map) => map.height));
  const top = title ? 58 : 12;
  const used = Math.min(columns, panels.length);
  const scaleNote = range === 'shared' ? `peak, ${highest.toPrecision(3)}` : "each panel's peak";
  const needed = Math.max(
    title ? textWidth(title, TITLE) + 48 : 0,
    LEFT + 260 + textWidth(scaleNote, { size: FONT }) + 30,
  );
  const width = Math.ceil(Math.max(used * cellWidth, needed));
  const canvas = blank(width, top + Math.ceil(panels.length / columns) * cellHeight + 40);

  const elements = title ? [line(title, 24, 42, TITLE)] : [];
  panels.forEach((panel, i) => {
    const left = (i % columns) * cellWidth + LEFT;
    const upper = top + Math.floor(i / columns) * cellHeight + ABOVE;
    const map = drawn[i] as RgbImage;
    place(canvas, map, left, upper, 1);
    elements.push(...frame(panel, map, left, upper, xLabel, yLabel), ...dots(panel, map, left, upper));
  });
  const barTop = canvas.height - 34;
  place(canvas, bar(200, 16), LEFT + 18, barTop, 1);
  elements.push(line('0', LEFT + 10, barTop + 14, { size: FONT, anchor: 'end' }));
  elements.push(line(scaleNote, LEFT + 228, barTop + 14, { size: FONT }));
  overlay(canvas, rasterize(svg(canvas.width, canvas.height, elements.join(''))));
  return encodePng(canvas);
}

const TITLE = { size: 26, bold: true };
const PANEL_TITLE = { size: 20, bold: true };
const titleWidth = ({ title }: DensityPanel): number => Math.ceil(textWidth(title, PANEL_TITLE));

function bar(width: number, height: number): RgbImage {
  const image = blank(width, height);
  for (let i = 0; i < width * height; i++) image.data.set(colorMap((i % width) / (width - 1)), i * 3);
  return image;
}

/** Title, ticks, numbers and names of the axes around a panel. */
function frame(
  panel: DensityPanel,
  map: RgbImage,
  left: number,
  top: number,
  xLabel: string,
  yLabel: string,
): string[] {
  const [bottom, style] = [top + map.height, { size: FONT }];
  const stroke = 'stroke="#222222" stroke-width="1.5"';
  const elements = [
    line(panel.title, left, top - 14, PANEL_TITLE),
    `<rect x="${left}" y="${top}" width="${map.width}" height="${map.height}" fill="none" ${stroke}/>`,
    line(xLabel, left + map.width / 2, bottom + 52, { ...style, anchor: 'middle' }),
    `<g transform="translate(${left - 58} ${top + map.height / 2}) rotate(-90)">${line(yLabel, 0, 0, { ...style, anchor: 'middle' })}</g>`,
  ];
  for (const { at, text } of ticks(panel.x ?? [0, panel.width], 4)) {
    const x = left + at * map.width;
    elements.push(
      `<path d="M${x} ${bottom}v6" ${stroke}/>`,
      line(text, x, bottom + 25, { ...style, anchor: 'middle' }),
    );
  }
  for (const { at, text } of ticks(panel.y ?? [0, panel.height], 4)) {
    const y = bottom - at * map.height;
    elements.push(`<path d="M${left} ${y}h-6" ${stroke}/>`, line(text, left - 11, y + 6, { ...style, anchor: 'end' }));
  }
  return elements;
}

function dots(panel: DensityPanel, map: RgbImage, left: number, top: number): string[] {
  const [[x0, x1], [y0, y1]] = [panel.x ?? [0, panel.width], panel.y ?? [0, panel.height]];
  return (panel.points ?? [])
    .map(([x, y]) => [(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)] as const)
    .filter(([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1)
    .map(([x, y]) => {
      const [cx, cy] = [(left + x * map.width).toFixed(2), (top + (1 - y) * map.height).toFixed(2)];
      // A dark rim keeps white dots visible where the map is light.
      return `<circle cx="${cx}" cy="${cy}" r="2" fill="#ffffff" stroke="#000000" stroke-width="0.8"/>`;
    });
}
