import { type Conditioning, checkShape, type Labels, labels } from '@logsnr/core';
import { type Network, ops, type Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

/** Conditioning on class embeddings, float32 [n, embedding], instead of labels. */
export interface ClassEmbeddings extends Conditioning<tf.Tensor2D> {
  /** The embeddings of labels, int32 [n]. The caller owns them. */
  of(labels: tf.Tensor1D): tf.Tensor2D;
}

/**
 * The class embeddings of a `unet` with these parameters (borrowed): the rows of its table. The last row is ∅'s, unless `given`
 * are labels with another ∅ or none. The network gives for a label's embedding what it gives for the label. It also takes
 * embeddings that are no label's, as condition-annealed sampling needs.
 * @throws RangeError when the parameters have no class table.
 */
export function classEmbeddings(parameters: Parameters, given?: Labels): ClassEmbeddings {
  const table = (parameters.class as { table?: tf.Tensor2D } | undefined)?.table;
  if (!table) throw new RangeError('the parameters have no "class.table"; an unconditional network has no embeddings.');
  const [rows, size] = table.shape;
  const known = given ?? labels(rows - 1);
  const none = (n: number): tf.Tensor2D => tf.tidy(() => ops.rows(table, known.null(n)));
  return {
    of: (labels) => tf.tidy(() => ops.rows(table, labels)),
    nullCondition: (like) => none(like.shape[0]),
    drop(c, mask) {
      checkShape('mask', mask, [c.shape[0]]);
      checkShape('the class embeddings', c, [c.shape[0], size]);
      return tf.tidy(() => tf.where(tf.expandDims(tf.notEqual(mask, 0), 1), none(c.shape[0]), c));
    },
    concat: (a, b) => tf.concat([a, b]),
  };
}

/** A network on labels, typed as the network on class embeddings that it also is. */
export const onEmbeddings = (network: Network<tf.Tensor1D>): Network<tf.Tensor2D> =>
  network as unknown as Network<tf.Tensor2D>;
