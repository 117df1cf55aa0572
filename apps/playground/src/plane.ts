// Three Gaussians in the plane, one a class: their densities, and the tilted ones, on a square of cells.
import { type GaussianMixture, gaussianMixture } from '@logsnr/core';

/** The plane is shown from −REACH to REACH. */
const REACH = 2.2;
const CELLS = 120;
/** Colours of the classes that people tell apart with any vision (Okabe & Ito 2008). */
const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
] as const;

/** The Gaussians, 0.9 from the centre. */
export const triangle = (std: number): GaussianMixture =>
  gaussianMixture(
    [90, 210, 330].map((degrees) => {
      const angle = (degrees * Math.PI) / 180;
      return { mean: [0.9 * Math.cos(angle), 0.9 * Math.sin(angle)], std };
    }),
  );

/** The densities p(x|c)^{1+w} p(x)^{−w} / Z_c of the classes, on CELLS × CELLS cells. */
export function tiltedDensities({ logDensity }: GaussianMixture, classes: readonly number[], w: number) {
  const centre = (i: number) => ((i + 0.5) * 2 * REACH) / CELLS - REACH;
  const cells = Array.from({ length: CELLS ** 2 }, (_, i) => [centre(i % CELLS), -centre(Math.floor(i / CELLS))]);
  const whole = cells.map((x) => logDensity(x, Number.POSITIVE_INFINITY));
  return classes.map((c) => {
    const density = cells.map((x, i) =>
      Math.exp((1 + w) * logDensity(x, Number.POSITIVE_INFINITY, c) - w * (whole[i] as number)),
    );
    const mass = density.reduce((sum, value) => sum + value, 0) * ((2 * REACH) / CELLS) ** 2;
    return Float64Array.from(density, (value) => value / mass);
  });
}

/** The densities of classes as a picture: the more, the more opaque, in the classes' colours. */
export function pictureOf(densities: readonly Float64Array[], classes: readonly number[]): OffscreenCanvas {
  const picture = new OffscreenCanvas(CELLS, CELLS);
  const context = picture.getContext('2d') as OffscreenCanvasRenderingContext2D;
  const pixels = context.createImageData(CELLS, CELLS);
  const total = Float64Array.from({ length: CELLS ** 2 }, (_, i) =>
    densities.reduce((sum, density) => sum + (density[i] as number), 0),
  );
  const most = total.reduce((a, b) => Math.max(a, b), 0);
  for (const [i, all] of total.entries()) {
    const channel = (at: 0 | 1 | 2) =>
      densities.reduce(
        (sum, density, k) => sum + ((density[i] as number) / all) * (COLOURS[classes[k] ?? 0]?.[at] ?? 0),
        0,
      );
    pixels.data.set([channel(0), channel(1), channel(2), 220 * (all / most) ** 0.7], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
  return picture;
}

/** A picture of densities with points [n, 2] on it. */
export function paintPlane(canvas: HTMLCanvasElement, picture: OffscreenCanvas, points: ArrayLike<number>): void {
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  context.globalAlpha = 0.6;
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i] as number, points[i + 1] as number];
    context.beginPath();
    context.arc(((x + REACH) / (2 * REACH)) * width, ((REACH - y) / (2 * REACH)) * height, 2.2, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}
