import { checkShape, fold, type Key, key as keyOf, philox } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { PHILOX_UNIFORM, type PhiloxUniformAttrs } from '../kernels.js';

/** The streams that have another use: noise, and `fold` of `@logsnr/core`. */
const taken = [0, 0x666f6c64];

/** A new key, a function of a key and a path alone. */
export const keyAt = (key: Key, path: string): Key => fold(key, ...[...path].map((c) => c.codePointAt(0) as number));

/** A stream for a name: a number of 32 bits that no other use of a key has. */
export function streamOf(name: string): number {
  const [word] = keyAt(keyOf(0), name).words;
  return taken.includes(word) ? word + 1 : word;
}

/**
 * Uniform numbers in [0, 1) of `shape` = [n, …], float32, from a key that is a tensor, int32 [2]. Sample i is a function of
 * the key, the stream, i and the shape of one sample, on every backend. A backend without the kernel reads the key back.
 * @throws RangeError or TypeError when the key is not int32 [2].
 */
export function uniform(key: tf.Tensor1D, stream: number, shape: readonly number[]): tf.Tensor {
  checkShape('the key', key, [2]);
  if (key.dtype !== 'int32') throw new TypeError(`the key has type ${key.dtype}; it must be int32, two words.`);
  const [samples = 1, ...rest] = shape;
  const values = rest.reduce((product, size) => product * size, 1);
  const attrs: PhiloxUniformAttrs = { stream, samples, blocks: Math.ceil(values / 4) };
  return tf.tidy(() => {
    const drawn = tf.getKernel(PHILOX_UNIFORM, tf.getBackend())
      ? (tf.engine().runKernel(PHILOX_UNIFORM, { key }, attrs as never) as tf.Tensor)
      : tf.tensor(uniformNumbers(key.dataSync() as Int32Array, attrs), [samples, attrs.blocks * 4], 'float32');
    return tf.reshape(tf.slice(drawn, [0, 0], [samples, values]), [...shape]);
  });
}

/** The same values as {@link uniform} draws, as numbers: samples · blocks · 4 of them. */
export function uniformNumbers(key: ArrayLike<number>, { stream, samples, blocks }: PhiloxUniformAttrs): Float32Array {
  const words = [(key[0] as number) >>> 0, (key[1] as number) >>> 0] as const;
  const values = new Float32Array(samples * blocks * 4);
  for (let block = 0; block < samples * blocks; block++)
    philox([block, 0, stream, 0], words).forEach((word, i) => {
      values[4 * block + i] = (word & 0x7fffff) / 2 ** 23;
    });
  return values;
}
