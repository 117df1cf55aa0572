import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';

/** Four bytes a pixel: red, green, blue, opacity. */
export interface RgbaImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface TextStyle {
  /** Height of the font in pixels. */
  size: number;
  bold?: boolean;
}

export const FONT_FAMILY = 'DejaVu Sans';

/** Draws SVG source with the one font that this package brings, so that a figure is the same on every machine. */
export function rasterize(svg: string): RgbaImage {
  const { pixels, width, height } = new Resvg(svg, { font: font() }).render();
  return { data: pixels, width, height };
}

const measured = new Map<string, number>();

/** How far a line of text reaches to the right of where it starts, in pixels. */
export function textWidth(text: string, { size, bold = false }: TextStyle): number {
  const name = `${bold}${text}`;
  let width = measured.get(name);
  if (width === undefined) {
    const box = new Resvg(svg(1, 1, line(text, 0, 0, { size: 100, bold })), { font: font() }).getBBox();
    // Nothing to measure: blanks, or letters that the font lacks. A letter is at most about as wide as it is high.
    width = box ? (box.x + box.width) / 100 : text.length;
    measured.set(name, width);
  }
  return width * size;
}

/** The SVG element of one line of text; `y` is its baseline. */
export function line(
  text: string,
  x: number,
  y: number,
  { size, bold = false, anchor = 'start', fill = '#222222' }: TextStyle & { anchor?: string; fill?: string },
): string {
  const weight = bold ? ' font-weight="bold"' : '';
  return `<text x="${x}" y="${y}" font-family="${FONT_FAMILY}" font-size="${size}"${weight} text-anchor="${anchor}" fill="${fill}">${escaped(text)}</text>`;
}

/** A whole SVG picture from its elements. */
export function svg(width: number, height: number, elements: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${elements}</svg>`;
}

function font() {
  const folder = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf');
  return {
    fontFiles: [join(folder, 'DejaVuSans.ttf'), join(folder, 'DejaVuSans-Bold.ttf')],
    loadSystemFonts: false,
    defaultFontFamily: FONT_FAMILY,
  };
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter] as string);
