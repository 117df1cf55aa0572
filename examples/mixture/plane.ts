// Three Gaussians in the plane, one a class, and densities on a square of cells: in closed form, and of samples.
import { type GaussianMixture, gaussianMixture } from '@logsnr/core';
import type { Tensor } from '@tensorflow/tfjs-core';

const angles = [90, 210, 330].map((degrees) => (degrees * Math.PI) / 180);

/** The Gaussians, 0.9 from the centre. */
export const triangle = (std = 0.5): GaussianMixture =>
  gaussianMixture(angles.map((a) => ({ mean: [0.9 * Math.cos(a), 0.9 * Math.sin(a)], std })));

/** `cells` × `cells` cells over [−reach, reach]². */
export function square(cells: number, reach: number) {
  const extent: [number, number] = [-reach, reach];
  const width = (2 * reach) / cells;
  const centre = (i: number) => (i + 0.5) * width - reach;
  return {
    width,
    panel: (title: string, density: Float64Array) => ({
      title,
      density,
      width: cells,
      height: cells,
      x: extent,
      y: extent,
    }),
    /** The tilted density Σ_c p(x|c) p(c|x)^w / Z_c: the mixture of the normalized densities p(x|c)^{1+w} / p(x)^w. */
    tilted({ classes, logDensity }: GaussianMixture, w: number): Float64Array {
      const total = new Float64Array(cells * cells);
      for (let c = 0; c < classes; c++) {
        const density = total.map((_, i) => {
          const x = [centre(i % cells), centre(Math.floor(i / cells))];
          const at = (label?: number) => logDensity(x, Number.POSITIVE_INFINITY, label);
          return Math.exp((1 + w) * at(c) - w * at());
        });
        const mass = density.reduce((sum, value) => sum + value, 0) * width ** 2;
        for (const [i, value] of density.entries()) total[i] = (total[i] as number) + value / mass / classes;
      }
      return total;
    },
    /** A histogram of samples [n, 2], sample i of class i mod 3, their mean distance from the centre and deviation across it. */
    histogram(points: Tensor): { density: Float64Array; along: number; across: number } {
      const [xy, n] = [points.dataSync(), points.shape[0] as number];
      const counts = new Float64Array(cells * cells);
      let [along, square] = [0, 0];
      for (let i = 0; i < n; i++) {
        const [x, y] = [xy[2 * i] as number, xy[2 * i + 1] as number];
        const [column, row] = [x, y].map((value) => Math.floor((value + reach) / width)) as [number, number];
        const cell = row * cells + column;
        if (column >= 0 && column < cells && row >= 0 && row < cells) counts[cell] = (counts[cell] as number) + 1;
        const angle = angles[i % 3] as number;
        along += (x * Math.cos(angle) + y * Math.sin(angle)) / n;
        square += (x * Math.sin(angle) - y * Math.cos(angle)) ** 2 / n;
      }
      points.dispose();
      return { density: counts.map((count) => count / (n * width ** 2)), along, across: Math.sqrt(square) };
    },
  };
}
