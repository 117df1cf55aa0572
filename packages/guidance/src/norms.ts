import { mul, sqrt, sum, type Tensor } from '@tensorflow/tfjs-core';

/** The axes of one sample's values. */
export const within = (x: Tensor): number[] => x.shape.slice(1).map((_, i) => i + 1);

/** ⟨a, b⟩ of each sample, [n, 1, …]. */
export const inner = (a: Tensor, b: Tensor): Tensor => (a.rank > 1 ? sum(mul(a, b), within(a), true) : mul(a, b));

/** ‖a‖ of each sample, [n, 1, …]. */
export const norm = (a: Tensor): Tensor => sqrt(inner(a, a));
