import {
  cast,
  concat,
  expandDims,
  fill,
  notEqual,
  Tensor,
  type Tensor1D,
  tensor1d,
  tidy,
  tile,
  where,
} from '@tensorflow/tfjs-core';
import { checkIndices, checkInteger, checkShape } from './check.js';
import { perSample } from './read-model.js';
import { scoped } from './scoped.js';
import { mapTensors, tensorsOf, zipTensors } from './tree.js';

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

/** Conditions with the guidance weight of each sample, for a network that guides in one evaluation. */
export interface Guided<C> {
  readonly condition: C;
  /** [n], in the paper's convention, in which 0 is no guidance. */
  readonly w: Tensor1D;
}

/** Class labels: int32 of shape [n]. ∅ is one label more, `classes`, unless it is said which. */
export interface Labels extends Conditioning<Tensor1D> {
  readonly classes: number;
  /** The label that is ∅; null where there is none. */
  readonly nullLabel: number | null;
  /** A tensor of labels from numbers; throws a `RangeError` on one outside [0, classes). */
  of(labels: ArrayLike<number>): Tensor1D;
  /** ∅ for n samples. */
  null(n: number): Tensor1D;
}

export interface LabelsOptions {
  /**
   * The label that a model knows as ∅, at most `classes`. Default `classes`. Null for a model that was trained on labels
   * alone: it has no ∅, and to ask for one is an error.
   */
  nullLabel?: number | null | undefined;
}

/** Conditioning on one of `classes` classes, with the null token as label number `classes`, or as the options say. */
export function labels(classes: number, { nullLabel = classes }: LabelsOptions = {}): Labels {
  checkInteger('classes', classes, 1);
  if (nullLabel !== null) checkInteger('nullLabel', nullLabel, 0, classes);
  const none = (shape: [number]): Tensor1D => {
    if (nullLabel === null)
      throw new RangeError(
        'there is no ∅ among these labels: the model was trained on classes alone. classifierFree needs ∅; classifierGuidance, autoguidance, independentCondition and timeStepGuidance do without. Where a label does stand for ∅, name it by { nullLabel }, an option of labels and of loadModel.',
      );
    return fill(shape, nullLabel, 'int32');
  };
  const check = (c: unknown) => {
    if (!(c instanceof Tensor))
      throw new TypeError('the labels are no tensor; make one with labels(classes).of([0, 1, …]).');
    if (c.dtype !== 'int32')
      throw new TypeError(`the labels have type ${c.dtype}; they are int32, as labels(classes).of([…]) makes them.`);
    checkShape('the labels', c, [null]);
  };
  return {
    classes,
    nullLabel,
    of(values) {
      checkIndices('label', values, classes);
      return tensor1d(Int32Array.from(values), 'int32');
    },
    drop(c, mask) {
      check(c);
      checkShape('mask', mask, c.shape);
      return tidy(() => cast(where(notEqual(mask, 0), none(c.shape), c), 'int32'));
    },
    nullCondition(like) {
      check(like);
      return none(like.shape);
    },
    null(n) {
      checkInteger('n', n, 1);
      return none([n]);
    },
    concat: (a, b) => concat([a, b]),
    check(c, n) {
      check(c);
      checkShape('the labels', c, [n]);
    },
  };
}

/**
 * Conditioning on tensors with the batch first, or on trees of them, such as the embeddings of texts. ∅ is `none`, one condition without
 * the batch axis, such as the embedding of the empty text; it is borrowed for as long as this is used.
 * @throws RangeError when `none` has no tensor; in use when conditions have other shapes.
 */
export function embeddings<C>(none: C): Conditioning<C> {
  const empty = tensorsOf(none);
  if (empty.length === 0)
    throw new RangeError('none has no tensor; give ∅ as the conditions are, without a batch axis.');
  const check = (c: C, n: number): void => {
    const given = tensorsOf(c);
    if (given.length !== empty.length)
      throw new RangeError(`the condition has ${given.length} tensors; it must have ${empty.length}, as ∅ has.`);
    for (const [i, tensor] of given.entries()) checkShape('the condition', tensor, [n, ...(empty[i] as Tensor).shape]);
  };
  const sizeOf = (c: C): number => tensorsOf(c)[0]?.shape[0] ?? 0;
  const spread = (n: number): C =>
    mapTensors(none, (tensor) => tile(expandDims(tensor), [n, ...tensor.shape.map(() => 1)]));
  return {
    drop(c, mask) {
      check(c, sizeOf(c));
      checkShape('mask', mask, [sizeOf(c)]);
      return scoped(() => {
        const dropped = notEqual(mask, 0) as Tensor1D;
        return zipTensors([c, spread(sizeOf(c))], (own, other) => where(perSample(dropped, own), other, own));
      });
    },
    nullCondition(like) {
      check(like, sizeOf(like));
      return scoped(() => spread(sizeOf(like)));
    },
    concat: (a, b) => zipTensors([a, b], (first, second) => concat([first, second])),
    check,
  };
}
