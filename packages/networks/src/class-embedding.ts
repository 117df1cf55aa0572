import { type Conditioning, checkShape, type Network, type Parameters } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { rowsOf } from './unet-walk.js';

/** Conditioning on class embeddings, float32 [n, embedding], in the place of labels. */
export interface ClassEmbeddings extends Conditioning<tf.Tensor2D> {
  /** The embeddings of labels, int32 [n]; the caller's. */
  of(labels: tf.Tensor1D): tf.Tensor2D;
}

/**
 * The class embeddings of a `unet` with these parameters (borrowed): its table's rows, of which the last is ∅'s. The network
 * gives for an embedding what it gives for the label, and can be asked about embeddings between and beside those of labels,
 * as condition-annealed sampling does.
 * @throws RangeError when the parameters have no class table.
 */
export function classEmbeddings(parameters: Parameters): ClassEmbeddings {
  const table = parameters['class.table'] as tf.Tensor2D | undefined;
  if (!table) throw new RangeError('the parameters have no "class.table"; an unconditional network has no embeddings.');
  const [rows, size] = table.shape;
  const none = (n: number): tf.Tensor2D => tf.tidy(() => rowsOf(table, tf.fill([n], rows - 1, 'int32')));
  return {
    of: (labels) => tf.tidy(() => rowsOf(table, labels)),
    nullCondition: (like) => none(like.shape[0]),
    drop(c, mask) {
      checkShape('mask', mask, [c.shape[0]]);
      checkShape('the class embeddings', c, [c.shape[0], size]);
      return tf.tidy(() => tf.where(tf.expandDims(tf.notEqual(mask, 0), 1), none(c.shape[0]), c));
    },
    concat: (a, b) => tf.concat([a, b]),
  };
}

/** A network on labels as the network on class embeddings that it is as well. */
export const onEmbeddings = (network: Network<tf.Tensor1D>): Network<tf.Tensor2D> =>
  network as unknown as Network<tf.Tensor2D>;
