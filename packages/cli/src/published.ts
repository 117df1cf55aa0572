import { lineChart } from '@logsnr/figures';

/** A published result of others: w, FID, Inception Score, of 50,000 samples in features of Inception. */
type Published = { readonly of: string; readonly rows: readonly (readonly [w: number, fid: number, is: number])[] };

/** Ho & Salimans, Classifier-Free Diffusion Guidance, arXiv 2207.12598, tables 1 and 2. */
export const PUBLISHED: Readonly<Record<string, Published>> = {
  imagenet64: {
    of: 'Ho & Salimans 2022, table 1: ImageNet 64×64, p_uncond = 0.1',
    rows: [
      [0, 1.8, 53.71],
      [0.1, 1.55, 66.11],
      [0.2, 2.04, 78.91],
      [0.3, 3.03, 92.8],
      [0.4, 4.3, 106.2],
      [0.5, 5.74, 119.3],
      [0.6, 7.19, 131.1],
      [0.7, 8.62, 141.8],
      [0.8, 10.08, 151.6],
      [0.9, 11.41, 161],
      [1, 12.6, 170.1],
      [2, 21.03, 225.5],
      [3, 24.83, 250.4],
      [4, 26.22, 260.2],
    ],
  },
  imagenet128: {
    of: 'Ho & Salimans 2022, table 2: ImageNet 128×128, T = 256',
    rows: [
      [0, 7.27, 82.45],
      [0.1, 4.53, 106.12],
      [0.2, 3.03, 132.54],
      [0.3, 2.43, 158.47],
      [0.4, 2.49, 183.41],
      [0.5, 2.98, 207.98],
      [0.6, 3.76, 228.83],
      [0.7, 4.67, 249.25],
      [0.8, 5.74, 267.99],
      [0.9, 6.8, 283.41],
      [1, 7.86, 297.98],
      [2, 15.93, 377.37],
      [3, 19.77, 407.44],
      [4, 21.53, 421.03],
    ],
  },
};

/** What was published for a preset, in a picture of its own: it is a reference and no result of a run. */
export function publishedChart({ of, rows }: Published): Uint8Array {
  return lineChart({
    title: 'Published by others, for reference',
    subtitle: `${of}\nalong the line w = ${rows.map(([w]) => w).join(', ')}`,
    x: { label: 'Inception Score (higher is better)' },
    y: [{ label: 'FID (lower is better)' }],
    series: [{ name: 'published', points: rows.map(([, fid, is]) => [is, fid]), markers: true, dash: true }],
  });
}
