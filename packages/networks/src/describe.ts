import { checkInteger, tensorsOf, unflatten } from '@logsnr/core';
import { type Context, type Module, type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { onShapes } from './shapes/backend.js';
import { Tally } from './shapes/tally.js';

/** What a network, or a layer of it, is and takes. */
export interface Described {
  /** The shapes of the tensors that it gives; none for a layer that was not applied. */
  readonly outputs: readonly (readonly number[])[];
  readonly parameters: number;
  /**
   * The products of one forward pass, each with its addition: of convolutions, all of them done directly, zeros around
   * images included; of linear maps and other matrix products; of attention's two products; of a product with one-hot rows,
   * which is how a class's row is looked up. Norms, activations, softmax, sums, poolings and resamplings are not counted.
   */
  readonly multiplyAdds: number;
  /**
   * The bytes that a training step keeps of the forward pass for its gradients, when the forward pass has ended: what the
   * operations save, and the output. Parameters and inputs are not among them. A buffer that several tensors share counts once.
   * It is of an eager step with this project's kernels for the processor; a backend without them keeps more.
   */
  readonly activationBytes: number;
}

/** A layer by its path, without those of its parts that have rows of their own. The path of the network itself is ''. */
export interface LayerDescription extends Described {
  readonly path: string;
}

/** What {@link describe} tells of a network. The counts of its layers add up to its own. */
export interface Description extends Described {
  /** Samples in the batch. */
  readonly batch: number;
  /** The most bytes that an eager forward pass without gradients holds at once, beside parameters and inputs. */
  readonly peakBytes: number;
  readonly layers: readonly LayerDescription[];
}

export interface DescribeOptions {
  /** Samples in the batch. Default 1. */
  batch?: number | undefined;
  /** Names in a layer's path: deeper layers count for the one that they are in. Default 2. */
  depth?: number | undefined;
}

/**
 * What a module is and takes, told from shapes alone: it is applied on a backend whose tensors have no values, so a network of
 * any size takes milliseconds and no memory. `input` makes its input of n samples, whose values do not matter:
 *
 * `describe(unet(config), (n) => ({ z: tf.zeros([n, 32, 32, 3]), lambda: tf.zeros([n]), condition: tf.zeros([n], 'int32') }))`
 *
 * The current backend stays the current one, and tensors of it may be part of the module. Nothing is computed on it.
 * @throws RangeError when `batch` or `depth` is no integer of at least 1; Error, by name, on an operation whose shapes are
 * not known, and where TensorFlow.js's gradients are not registered, as backends' packages do; TypeError when the module
 * reads a tensor's values; and what the module throws.
 */
export function describe<I>(
  module: Module<I, unknown>,
  input: (n: number) => I,
  { batch = 1, depth = 2 }: DescribeOptions = {},
): Description {
  checkInteger('batch', batch, 1);
  if (depth !== Number.POSITIVE_INFINITY) checkInteger('depth', depth, 1);
  if (!tf.getGradient(tf.Multiply))
    throw new Error(
      'TensorFlow.js has no gradients here, which say what is kept for them; import a backend first: `useBackend` of @logsnr/tensorflow, or @tensorflow/tfjs.',
    );
  const shapes = shapesOf(module);
  const tally = new Tally(depth);
  onShapes(tally, (make) =>
    tf.tidy(() => {
      const values = Object.entries(shapes).map(([path, shape]) => [path, make({ shape, dtype: 'float32' })] as const);
      const parameters = unflatten<tf.Tensor>(Object.fromEntries(values)) as Parameters;
      const given = input(batch);
      const key = tf.zeros([2], 'int32') as tf.Tensor1D;
      const apply = (context: Context): unknown =>
        tally.observe('', () => module.apply(parameters, given, { ...context, observe: tally.observe }));
      tf.tidy(() => void apply({ train: false }));
      tally.forwardEnded();
      keeping(
        () => apply({ train: true, key }),
        () => tally.keep(),
      );
    }),
  );
  return { batch, ...tally.description(shapes) };
}

/** Calls `kept` when `forward` has ended in a gradient, and what is left of it is its output and what operations saved. */
export function keeping(forward: () => unknown, kept: () => void): void {
  const one = tf.scalar(1);
  const ended = (x: tf.Tensor): tf.Tensor => {
    const outputs = tensorsOf(forward());
    return tf.customGrad((...args) => {
      (args.pop() as tf.GradSaveFunc)(outputs);
      const gradFunc = (dy: tf.Tensor): tf.Tensor => {
        kept();
        return tf.clone(dy);
      };
      return { value: tf.clone(x), gradFunc };
    })(x);
  };
  try {
    // The output does not depend on x, so the gradients of the operations in `forward` are not made.
    tf.grad(ended)(one, one);
  } catch (error) {
    // TensorFlow.js frees what was saved only where the gradient succeeds.
    const { gradientDepth, activeTape } = tf.engine().state;
    if (gradientDepth === 0) for (const { saved } of activeTape ?? []) tf.dispose(saved ?? []);
    throw error;
  }
}
