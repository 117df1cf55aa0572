import { captionedGrid, lineChart } from '@logsnr/figures';
import type { SweepRow } from './guidance-sweep.js';
import type { Scores } from './judge.js';

export type TableRow = Scores & { readonly w: number };

/** As many real images, judged in the same way: the scores of perfect samples. */
export type RealScores = Pick<Scores, 'fid' | 'is'> & { readonly samples: number };

/** A sweep as a table for a terminal. */
export function sweepText(rows: readonly TableRow[], real?: RealScores): string {
  const cell = (value: number, digits: number) => value.toFixed(digits).padStart(9);
  const lines = rows.map(
    ({ w, fid, is, accuracy }) => `${cell(w, 2)}   ${cell(fid, 3)} ${cell(is, 3)}  ${cell(100 * accuracy, 1)} %`,
  );
  const last = real ? [`real images ${cell(real.fid, 3)} ${cell(real.is, 3)}   (${real.samples} of them)`] : [];
  return ['        w         FID        IS   read right', ...lines, ...last].join('\n');
}

/** A sweep as a table in Markdown. */
export function sweepMarkdown(rows: readonly TableRow[], real?: RealScores): string {
  const line = (...cells: string[]) => `| ${cells.join(' | ')} |`;
  const lines = rows.map(({ w, fid, is, accuracy }) =>
    line(String(w), fid.toFixed(2), is.toFixed(3), `${(100 * accuracy).toFixed(1)} %`),
  );
  const last = real ? [line(`${real.samples} real images`, real.fid.toFixed(2), real.is.toFixed(3), '')] : [];
  return [line('w', 'FID', 'IS', 'read right'), '| ---: | ---: | ---: | ---: |', ...lines, ...last].join('\n');
}

/** The rows' samples one below the other, each with its w and what is read right, as a PNG. */
export const sweepPicture = (
  rows: readonly SweepRow[],
  { title = 'One noise, growing guidance weight w', scale = 2 }: { title?: string; scale?: number } = {},
): Uint8Array =>
  captionedGrid({
    title,
    scale,
    rows: rows.map(({ w, accuracy, picture }) => ({
      caption: `w = ${w}\n${(100 * accuracy).toFixed(0)} % read right`,
      images: [picture],
    })),
  });

/** FID and Inception Score against w, as a PNG: fidelity against diversity, as in the paper's figure 4. */
export const sweepChart = (
  rows: readonly TableRow[],
  { subtitle, real }: { subtitle?: string | undefined; real?: RealScores | undefined } = {},
): Uint8Array =>
  lineChart({
    title: 'Fidelity against diversity',
    ...(subtitle ? { subtitle } : {}),
    x: { label: 'guidance weight w' },
    y: [{ label: 'FID (lower is better)' }, { label: 'Inception Score (higher is better)' }],
    series: [
      { name: 'FID', points: rows.map(({ w, fid }) => [w, fid]), markers: true },
      { name: 'Inception Score', points: rows.map(({ w, is }) => [w, is]), axis: 1, markers: true },
    ],
    references: real ? [{ name: `FID of ${real.samples} real images`, value: real.fid }] : [],
  });
