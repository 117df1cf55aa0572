import * as tf from '@tensorflow/tfjs-core';
import { arrayRules } from './arrays.js';
import { ownRules } from './own.js';
import { pointwiseRules } from './pointwise.js';
import { productRules } from './products.js';
import { type Output, product, type Rule, type Rules } from './rule.js';

const NAME = 'logsnr-shapes';

/** The operations whose shapes are known, by the names of their kernels. */
export const rules: Rules = { ...pointwiseRules, ...arrayRules, ...productRules, ...ownRules };

/** What is told of the operations that are run. */
export interface Meter {
  multiplyAdds(count: number): void;
  /** A new buffer of so many bytes. What it returns is called when the buffer is freed. */
  buffer(bytes: number): () => void;
}

/** A backend of shapes alone: its tensors have no values, and its kernels tell what they would give and cost. */
class ShapesBackend extends tf.KernelBackend {
  /** The tensors that hold a buffer, and what is done when none does. */
  readonly #buffers = new Map<object, { holders: number; readonly free: () => void }>();

  constructor(readonly meter: Meter) {
    super();
  }

  make({ shape, dtype }: Output, shares?: tf.TensorInfo): tf.TensorInfo {
    const own = shares && this.#buffers.get(shares.dataId);
    if (own) {
      own.holders++;
      return { dataId: shares.dataId, shape: [...shape], dtype };
    }
    // A tensor of another backend stays that backend's. What stands for it here takes no memory.
    const dataId = {};
    const bytes = shares ? 0 : product(shape) * tf.util.bytesPerElement(dtype);
    this.#buffers.set(dataId, { holders: 1, free: this.meter.buffer(bytes) });
    return { dataId, shape: [...shape], dtype };
  }

  override write(_: unknown, shape: number[], dtype: tf.DataType): object {
    return this.make({ shape, dtype }).dataId;
  }

  override disposeData(dataId: object, force = false): boolean {
    const buffer = this.#buffers.get(dataId);
    if (!buffer) return true;
    buffer.holders--;
    if (buffer.holders > 0 && !force) return false;
    this.#buffers.delete(dataId);
    buffer.free();
    return true;
  }

  override incRef(dataId: object): void {
    const buffer = this.#buffers.get(dataId);
    if (buffer) buffer.holders++;
  }
  override refCount = (dataId: object): number => this.#buffers.get(dataId)?.holders ?? 0;
  override numDataIds = (): number => this.#buffers.size;
  override memory = (): { unreliable: boolean } => ({ unreliable: false });
  override floatPrecision = (): 32 => 32;
  override dispose(): void {}
  override readSync(): never {
    throw new TypeError('a module that is described sees shapes alone: no tensor in it has values to be read.');
  }
  override read = async (): Promise<never> => this.readSync();
}

const kernelOf =
  (rule: Rule<never, never>): tf.KernelFunc =>
  ({ inputs, attrs, backend }) => {
    const shapes = backend as ShapesBackend;
    const { output, multiplyAdds = 0, shares } = rule(inputs as never, attrs as never);
    shapes.meter.multiplyAdds(multiplyAdds);
    return Array.isArray(output)
      ? output.map((each: Output) => shapes.make(each))
      : shapes.make(output as Output, shares);
  };

/**
 * Runs `body` while a backend of shapes alone is the current one, then makes the one before it current again. `body` must
 * not return a promise.
 * @throws Error on an operation whose shapes are not known, by its name; TypeError where values are read.
 */
export function onShapes<T>(meter: Meter, body: (make: (output: Output) => tf.Tensor) => T): T {
  const before: string | undefined = tf.getBackend();
  if (before === NAME) throw new Error('`describe` was called by a module that it describes.');
  // Throws where that backend is still being set up.
  if (before) tf.backend();
  const backend = new ShapesBackend(meter);
  for (const [kernelName, rule] of Object.entries(rules))
    tf.registerKernel({ kernelName, backendName: NAME, kernelFunc: kernelOf(rule) });
  tf.registerBackend(NAME, () => backend, 0);
  try {
    // It is done when the call returns, since the backend needs no waiting for.
    void tf.setBackend(NAME);
    return body((output) => tf.engine().makeTensorFromTensorInfo(backend.make(output)));
  } catch (error) {
    throw named(error);
  } finally {
    if (before) void tf.setBackend(before);
    tf.removeBackend(NAME);
    for (const kernelName of Object.keys(rules)) tf.unregisterKernel(kernelName, NAME);
  }
}

function named(error: unknown): unknown {
  const name = error instanceof Error && /^Kernel '(.*)' not registered for backend/.exec(error.message)?.[1];
  if (!name) return error;
  return new Error(
    `the module uses the operation "${name}", whose shapes \`describe\` does not know; describe the modules without it.`,
    { cause: error },
  );
}
