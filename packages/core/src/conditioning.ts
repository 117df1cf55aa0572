import { cast, concat, fill, notEqual, type Tensor1D, tensor1d, tidy, where } from '@tensorflow/tfjs-core';
import { checkInteger, checkLabels, checkShape } from './check.js';

/** How conditions of type C lose themselves to the null token ∅ and join into one batch. The one place that defines ∅. */
export interface Conditioning<C> {
  /** The conditions with those whose `mask` (shape [n], 0 or 1) is 1 replaced by ∅. */
  drop(c: C, mask: Tensor1D): C;
  /** ∅ for as many samples as `like` has. */
  none(like: C): C;
  /** The conditions of `a`, then those of `b`. */
  concat(a: C, b: C): C;
}

/** Class labels: int32 of shape [n]. ∅ is the extra label `classes`. */
export interface Labels extends Conditioning<Tensor1D> {
  readonly classes: number;
  /** A tensor of labels from numbers; throws a `RangeError` on one outside [0, classes). */
  of(labels: ArrayLike<number>): Tensor1D;
}

/** Conditioning on one of `classes` classes, with the null token as label number `classes`. */
export function labels(classes: number): Labels {
  checkInteger('classes', classes, 1);
  return {
    classes,
    of(values) {
      checkLabels(values, classes);
      return tensor1d(Int32Array.from(values), 'int32');
    },
    drop(c, mask) {
      checkShape('mask', mask, c.shape);
      return tidy(() => cast(where(notEqual(mask, 0), fill(c.shape, classes, 'int32'), c), 'int32'));
    },
    none: (like) => fill(like.shape, classes, 'int32') as Tensor1D,
    concat: (a, b) => concat([a, b]),
  };
}
