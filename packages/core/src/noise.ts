import { engine, getBackend, getKernel, reshape, slice, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { checkInteger } from './check.js';
import { bits, type Key } from './key.js';

/**
 * The name of a kernel that draws what {@link normal} draws. A backend may register it (`registerKernel` of tfjs-core).
 * It has no inputs and the attributes {@link PhiloxNormalAttrs}. It returns float32 [samples, 4 · blocks].
 */
export const PHILOX_NORMAL = 'PhiloxNormal';

/** Which part of which stream to draw. */
export interface PhiloxNormalAttrs {
  /** The key. */
  words: readonly [number, number];
  /** Number of the first Philox block, an integer in [0, 2^53). */
  counter: number;
  /** Number of samples. */
  samples: number;
  /** Philox blocks of one sample. A block gives four values. */
  blocks: number;
}

/**
 * Standard normal noise of `shape` = [n, …], float32. The caller owns it.
 *
 * Sample i depends on `k`, on its number `firstSample` + i and on the shape of one sample. It does not depend on the batch
 * size, on the backend or on earlier calls.
 *
 * The generator is Philox4x32-10 with Box–Muller, in the layout of TensorFlow's `StatelessRandomNormalV2`. Sample number j,
 * of m values, starts at block j·⌈m/4⌉ of the key's stream.
 * @throws RangeError when `firstSample` is not an integer ≥ 0, or a size not an integer ≥ 1.
 */
export function normal(k: Key, shape: readonly number[], firstSample = 0): Tensor {
  checkInteger('firstSample', firstSample);
  for (const [i, size] of shape.entries()) checkInteger(`shape[${i}]`, size, 1);
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

/** The values that {@link normal} draws, as samples · blocks · 4 numbers. Made on the CPU, without a backend. */
export function normalNumbers({ words, counter, samples, blocks }: PhiloxNormalAttrs): Float32Array {
  const values = new Float32Array(samples * blocks * 4);
  const random = bits({ words }, values.length, counter);
  for (let i = 0; i < values.length; i += 2) {
    // 23 random bits make a float in [0, 1). 1e-7 keeps the logarithm finite. Like TensorFlow, this takes the angle in
    // float64 and rounds all else to float32.
    const u = fround(Math.max(((random[i] as number) & 0x7fffff) / 2 ** 23, 1e-7));
    const angle = 2 * Math.PI * (((random[i + 1] as number) & 0x7fffff) / 2 ** 23);
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(u)))));
    values[i] = radius * fround(Math.sin(angle));
    values[i + 1] = radius * fround(Math.cos(angle));
  }
  return values;
}
