import { captionedGrid, imageGrid, lineChart } from '@logsnr/figures';
import type { SweepRow } from './guidance-sweep.js';
import type { RealScores, TableRow } from './sweep-tables.js';

export interface SweepPictureOptions {
  title?: string;
  /** Each pixel of a sample becomes `scale` × `scale` pixels; 2 unless given. */
  scale?: number;
  /** Samples side by side in a row's picture; 20 unless given. */
  columns?: number;
}

/** The rows' samples one below the other, each with its w and what is read right, as a PNG. */
export const sweepPicture = (
  rows: readonly SweepRow[],
  { title = 'One noise, growing guidance weight w', scale = 2, columns = 20 }: SweepPictureOptions = {},
): Uint8Array =>
  captionedGrid({
    title,
    scale,
    rows: rows.map(({ w, accuracy, shown }) => ({
      caption: `w = ${w}\n${(100 * accuracy).toFixed(0)} % read right`,
      images: [imageGrid(shown, { columns })],
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
