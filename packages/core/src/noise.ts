import { engine, getBackend, getKernel, reshape, slice, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { checkInteger } from './check.js';
import { bits, type Key } from './key.js';

/**
 * The kernel that a backend may register (`registerKernel` of tfjs-core) to draw `normal` itself. It takes no inputs
 * and the attributes {@link PhiloxNormalAttrs}, and returns float32 [samples, 4 · blocks].
 */
export const PHILOX_NORMAL = 'PhiloxNormal';

export interface PhiloxNormalAttrs {
  words: readonly [number, number];
  /** Number of the first Philox block, an integer in [0, 2^53). */
  counter: number;
  samples: number;
  /** Philox blocks a sample, four values each. */
  blocks: number;
}

/**
 * Standard normal noise of `shape` = [n, …], float32, keyed: sample i is a function of (`k`, `firstSample` + i) and of
 * the shape of one sample alone. The batch size, the backend and the order of calls change nothing.
 *
 * Philox4x32-10 with Box–Muller, the layout of TensorFlow's `StatelessRandomNormalV2`: a sample of m values starts at
 * block i·⌈m/4⌉ of the key's stream.
 */
export function normal(k: Key, shape: readonly number[], firstSample = 0): Tensor {
  checkInteger('firstSample', firstSample);
  shape.forEach((size, i) => {
    checkInteger(`shape[${i}]`, size, 1);
  });
  const [samples = 1, ...rest] = shape;
  const values = rest.reduce((product, size) => product * size, 1);
  const blocks = Math.ceil(values / 4);
  const attrs: PhiloxNormalAttrs = { words: k.words, counter: firstSample * blocks, samples, blocks };
  return tidy(() => {
    const drawn = getKernel(PHILOX_NORMAL, getBackend())
      ? (engine().runKernel(PHILOX_NORMAL, {}, attrs as never) as Tensor)
      : tensor(normalNumbers(attrs), [samples, blocks * 4], 'float32');
    return reshape(slice(drawn, [0, 0], [samples, values]), [...shape]);
  });
}

const { fround } = Math;

/** The same values as {@link normal} draws, as numbers: samples · blocks · 4 of them. */
export function normalNumbers({ words, counter, samples, blocks }: PhiloxNormalAttrs): Float32Array {
  const values = new Float32Array(samples * blocks * 4);
  const random = bits({ words }, values.length, counter);
  for (let i = 0; i < values.length; i += 2) {
    // 23 bits as the mantissa of a float in [1, 2), minus 1; 1e-7 keeps the logarithm finite. TensorFlow takes
    // the angle in double precision and rounds the rest to float32.
    const u = fround(Math.max(((random[i] as number) & 0x7fffff) / 2 ** 23, 1e-7));
    const angle = 2 * Math.PI * (((random[i + 1] as number) & 0x7fffff) / 2 ** 23);
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(u)))));
    values[i] = radius * fround(Math.sin(angle));
    values[i + 1] = radius * fround(Math.cos(angle));
  }
  return values;
}
