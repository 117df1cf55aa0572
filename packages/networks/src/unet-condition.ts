import { checkShape } from '@logsnr/core';
import { embedding, type Module, module } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

/** What a condition adds to a U-Net. */
export interface Conditioned {
  /** Added to the embedding of λ, [n, embedding]. */
  readonly vector?: tf.Tensor2D | undefined;
  /** Joined to the channels of z, [n, height, width, channels]. */
  readonly image?: tf.Tensor4D | undefined;
}

/** How a U-Net takes conditions of type C: labels, vectors, an image beside z, or any structure of them. */
export interface UnetCondition<C> {
  /** The name of the module's parameters among the network's. Default `condition`. */
  readonly name?: string | undefined;
  readonly module: Module<{ readonly condition: C; readonly z: tf.Tensor4D }, Conditioned>;
  /** Channels of the image that it gives. Default none. */
  readonly channels?: number | undefined;
  /** Throws on conditions that do not fit n samples, before any work. */
  check?(condition: C, n: number): void;
}

/** No condition. The network ignores what it is given. */
export const noCondition: UnetCondition<unknown> = { module: module({}, (): Conditioned => ({})) };

export interface ClassConditionOptions {
  /** Whether the label `classes` is ∅, with a row of its own. Default true. */
  nullClass?: boolean | undefined;
  /** The deviation of the first values of the table. Default 1. */
  std?: number | undefined;
}

/**
 * Labels int32 [n] of `classes` classes, or class embeddings, float32 [n, size]. The label `classes` is ∅. Labels are not
 * read back, so one outside is no error. It adds nothing to the embedding of λ.
 */
export function classCondition(
  classes: number,
  size: number,
  { nullClass = true, std = 1 }: ClassConditionOptions = {},
): UnetCondition<tf.Tensor1D | tf.Tensor2D> {
  // With ∅ one row more than classes: the last is the null token's.
  const layer = embedding(nullClass ? classes + 1 : classes, size, { std });
  return {
    name: 'class',
    module: {
      ...layer,
      apply: (table, { condition }, context) => ({
        vector: (condition.rank === 2
          ? condition
          : layer.apply(table, condition as tf.Tensor1D, context)) as tf.Tensor2D,
      }),
    },
    check(condition, n) {
      if (!(condition instanceof tf.Tensor))
        throw new TypeError(
          `the condition is ${condition === null ? 'null' : Array.isArray(condition) ? 'an array' : `of type ${typeof condition}`}; give a tensor of labels, int32 [${n}], such as labels(${classes}).of([…]) of @logsnr/core.`,
        );
      const embedded = condition.rank === 2 && condition.dtype === 'float32';
      checkShape(embedded ? 'the class embeddings' : 'the condition', condition, embedded ? [n, size] : [n]);
      if (!embedded && condition.dtype !== 'int32')
        throw new TypeError(
          `the condition has type ${condition.dtype}; labels are int32 numbers in [0, ${nullClass ? classes : classes - 1}].`,
        );
    },
  };
}
