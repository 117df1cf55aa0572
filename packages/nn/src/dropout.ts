import { checkWithin } from '@logsnr/core';
import { cast, greaterEqual, mul, type Tensor } from '@tensorflow/tfjs-core';
import { module } from './compose.js';
import type { Module } from './module.js';
import { streamOf, uniform } from './ops/uniform.js';

/**
 * Dropout (Srivastava et al. 2014, JMLR 15). In training a value becomes 0 with probability `rate`, and is divided by
 * 1 − rate otherwise. Outside training every value stays. What sample i loses depends on the context's key, the layer's
 * path and i.
 * @throws RangeError unless `rate` is in [0, 1); TypeError, in training, when the context has no key.
 */
export function dropout<T extends Tensor>(rate: number): Module<T, T> {
  checkWithin('rate', rate, 0, 1);
  if (rate === 1) throw new RangeError('rate is 1, which drops everything; it must be below 1.');
  return module({}, (_, x: T, { train, key, path = '' }) => {
    if (!train || rate === 0) return x.clone() as T;
    if (!key)
      throw new TypeError(
        'dropout in training needs a key: apply(parameters, input, { train: true, key }), int32 [2].',
      );
    const kept = cast(greaterEqual(uniform(key, streamOf(path), x.shape), rate), 'float32');
    return mul(x, mul(kept, 1 / (1 - rate))) as T;
  });
}
