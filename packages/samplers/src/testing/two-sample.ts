import { fold, gaussianMixture, key, labels, normalNumbers, uniforms } from '@logsnr/core';
import type { Tensor1D } from '@tensorflow/tfjs-core';

/** What the samples on tensors are drawn from: two Gaussians in the plane. */
const components = [
  { mean: [-1, 0], std: 0.3, weight: 1 },
  { mean: [1, 0.6], std: 0.2, weight: 2 },
];
export const plane = gaussianMixture(components);

/** The label ∅ for n samples; the caller's to free. */
export const noLabels = (n: number): Tensor1D => labels(plane.classes).null(n);

/** n exact samples, [x, y] after [x, y]. */
export function exactSamples(n: number, seed: number): Float64Array {
  const k = fold(key(0x6b6974), seed);
  const which = uniforms(fold(k, 0), n);
  const normals = normalNumbers({ words: fold(k, 1).words, counter: 0, samples: n, blocks: 1 });
  return Float64Array.from({ length: 2 * n }, (_, i) => {
    const component = components[(which[i >> 1] as number) < 1 / 3 ? 0 : 1] as (typeof components)[number];
    return (component.mean[i % 2] as number) + component.std * (normals[4 * (i >> 1) + (i % 2)] as number);
  });
}

/** 2 E|X − Y| − E|X − X'| − E|Y − Y'| (Székely & Rizzo 2004), 0 for equal laws alone. */
export const energyDistance = (a: Float64Array, b: Float64Array): number =>
  2 * meanDistance(a, b) - meanDistance(a, a) - meanDistance(b, b);

function meanDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 2)
    for (let j = 0; j < b.length; j += 2) {
      const [dx, dy] = [(a[i] as number) - (b[j] as number), (a[i + 1] as number) - (b[j + 1] as number)];
      sum += Math.sqrt(dx * dx + dy * dy);
    }
  return sum / ((a.length / 2) * (b.length / 2));
}

const thresholds = new Map<number, number>();

/** One and a half times the largest of 40 energy distances of n exact samples to n others. */
export function energyThreshold(n: number): number {
  const known = thresholds.get(n);
  if (known !== undefined) return known;
  const distances = Array.from({ length: 40 }, (_, i) =>
    energyDistance(exactSamples(n, 2 * i + 1), exactSamples(n, 2 * i + 2)),
  );
  const threshold = 1.5 * Math.max(...distances);
  thresholds.set(n, threshold);
  return threshold;
}
