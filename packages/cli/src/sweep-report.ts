import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { captionedGrid, lineChart, writePng } from '@logsnr/figures';
import { codeOf, piecesOf, replaceFile } from '@logsnr/io/node';
import { decode } from 'fast-png';
import { PUBLISHED, publishedChart } from './published.js';
import { type CellScores, cellFile } from './sweep-cells.js';

const HEADS = ['w', 'T', 'samples', 'Fréchet distance', 'IS', '± of IS'];
const cellsOf = ({ w, steps, samples, fid, is, isStd }: CellScores): string[] => [
  ...[String(w), String(steps), String(samples), fid.toFixed(3)],
  ...[is?.toFixed(3) ?? '', isStd?.toFixed(3) ?? ''],
];

/** The table for a terminal. */
export function sweepTable(rows: readonly CellScores[]): string {
  const lines = [HEADS, ...rows.map(cellsOf)];
  const widths = HEADS.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padStart(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The table in Markdown. */
export const sweepMarkdownTable = (rows: readonly CellScores[]): string =>
  [HEADS, HEADS.map(() => '---:'), ...rows.map(cellsOf)].map((line) => `| ${line.join(' | ')} |`).join('\n');

/** The table as comma-separated values. */
export const sweepCsv = (rows: readonly CellScores[]): string =>
  [
    'w,steps,samples,fid,is,isStd,seconds',
    ...rows.map(({ w, steps, samples, fid, is, isStd, seconds }) =>
      [w, steps, samples, fid, is ?? '', isStd ?? '', seconds].join(','),
    ),
  ].join('\n');

/** Writes `sweep.md`, `sweep.csv`, `results.json` and the pictures of the cells that are done; `published.png` where the paper has tables of such a model. */
export async function writeReport(
  out: string,
  rows: readonly CellScores[],
  { name, subtitle }: { name: string; subtitle: string },
): Promise<void> {
  const write = (name: string, text: string) => replaceFile(join(out, name), piecesOf(`${text}\n`));
  await write('sweep.md', sweepMarkdownTable(rows));
  await write('sweep.csv', sweepCsv(rows));
  await write('results.json', JSON.stringify({ of: subtitle, rows }, null, 2));
  await writePng(join(out, 'curve.png'), curve(rows, subtitle));
  const published = PUBLISHED[name];
  if (published) await writePng(join(out, 'published.png'), publishedChart(published));
  const most = Math.max(...rows.map(({ steps }) => steps));
  const shown = await Promise.all(
    rows
      .filter(({ steps }) => steps === most)
      .map(async (row) => ({ row, png: await readFile(cellFile(out, row, 'png')).catch(none) })),
  );
  const pictures = shown.flatMap(({ row, png }) => {
    if (!png) return [];
    const { width, height, data } = decode(png);
    return [{ caption: `w = ${row.w}\nT = ${row.steps}`, images: [{ width, height, data: data as Uint8Array }] }];
  });
  if (pictures.length > 0)
    await writePng(
      join(out, 'samples.png'),
      captionedGrid({
        title: 'One noise, growing guidance weight w',
        scale: (pictures[0]?.images[0]?.width ?? 0) < 700 ? 2 : 1,
        rows: pictures,
      }),
    );
}

const none = (error: unknown): undefined => {
  if (codeOf(error) !== 'ENOENT') throw error;
};

/** Fidelity against diversity, as in the paper's figure 4: a line for each T, along which w grows. Without IS, against w. */
function curve(rows: readonly CellScores[], subtitle: string): Uint8Array {
  const scored = rows.every(({ is }) => is !== null);
  const weights = [...new Set(rows.map(({ w }) => w))];
  const along = `along a line w = ${weights.join(', ')}`;
  return lineChart({
    title: 'Fidelity against diversity',
    subtitle: scored ? `${subtitle}\n${along}` : subtitle,
    x: { label: scored ? 'Inception Score (higher is better)' : 'guidance weight w' },
    y: [{ label: 'Fréchet distance (lower is better)' }],
    series: [...new Set(rows.map(({ steps }) => steps))].map((steps) => ({
      name: `T = ${steps}`,
      points: rows
        .filter((row) => row.steps === steps)
        .map(({ w, fid, is }) => [scored ? (is as number) : w, fid] as const),
      markers: true,
    })),
  });
}
