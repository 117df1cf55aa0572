import { cast, concat, fill, notEqual, Tensor, type Tensor1D, tensor1d, tidy, where } from '@tensorflow/tfjs-core';
import { checkIndices, checkInteger, checkShape } from './check.js';

/** What a kind of condition has to offer: its null token ∅, dropping to it, and joining two batches. ∅ is defined here alone. */
export interface Conditioning<C> {
  /** The conditions with those whose `mask` (shape [n], 0 or 1) is 1 replaced by ∅. */
  drop(c: C, mask: Tensor1D): C;
  /** ∅ for as many samples as `like` has. */
  nullCondition(like: C): C;
  /** The conditions of `a`, then those of `b`. */
  concat(a: C, b: C): C;
  /** Throws unless `c` are conditions for n samples. Without it all are accepted. */
  check?(c: C, n: number): void;
}

/** Class labels: int32 of shape [n]. ∅ is the extra label `classes`. */
export interface Labels extends Conditioning<Tensor1D> {
  readonly classes: number;
  /** A tensor of labels from numbers; throws a `RangeError` on one outside [0, classes). */
  of(labels: ArrayLike<number>): Tensor1D;
  /** ∅ for n samples. */
  null(n: number): Tensor1D;
}

/** Conditioning on one of `classes` classes, with the null token as label number `classes`. */
export function labels(classes: number): Labels {
  checkInteger('classes', classes, 1);
  const check = (c: unknown) => {
    if (!(c instanceof Tensor))
      throw new TypeError('the labels are no tensor; make one with labels(classes).of([0, 1, …]).');
    if (c.dtype !== 'int32')
      throw new TypeError(`the labels have type ${c.dtype}; they are int32, as labels(classes).of([…]) makes them.`);
    checkShape('the labels', c, [null]);
  };
  return {
    classes,
    of(values) {
      checkIndices('label', values, classes);
      return tensor1d(Int32Array.from(values), 'int32');
    },
    drop(c, mask) {
      check(c);
      checkShape('mask', mask, c.shape);
      return tidy(() => cast(where(notEqual(mask, 0), fill(c.shape, classes, 'int32'), c), 'int32'));
    },
    nullCondition(like) {
      check(like);
      return fill(like.shape, classes, 'int32') as Tensor1D;
    },
    null(n) {
      checkInteger('n', n, 1);
      return fill([n], classes, 'int32');
    },
    concat: (a, b) => concat([a, b]),
    check(c, n) {
      check(c);
      checkShape('the labels', c, [n]);
    },
  };
}
