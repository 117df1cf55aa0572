import * as tf from '@tensorflow/tfjs-core';
import { arrayRules } from './arrays.js';
import { ownRules } from './own.js';
import { pointwiseRules } from './pointwise.js';
import { productRules } from './products.js';
import { type Output, product, type Rule, type Rules } from './rule.js';

const NAME = 'logsnr-shapes';

/** The operations of TensorFlow.js whose shapes are known, by the names of their kernels. */
const sharedRules: Rules = { ...pointwiseRules, ...arrayRules, ...productRules };
/** Those and this project's own. */
export const rules: Rules = { ...sharedRules, ...ownRules };

/** What is told of the operations that are run. */
export interface Meter {
  multiplyAdds?(count: number): void;
  /** A new buffer of so many bytes. What it returns is called when the buffer is freed. */
  buffer?(bytes: number): () => void;
  kernel?(call: KernelCall): void;
  /** A tensor of given values. */
  values?(tensor: tf.TensorInfo, values: tf.BackendValues): void;
}

/** A kernel that is run: its inputs by name, and its outputs. */
export interface KernelCall {
  readonly name: string;
  readonly inputs: tf.NamedTensorInfoMap;
  readonly attrs: unknown;
  readonly outputs: readonly tf.TensorInfo[];
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
    this.#buffers.set(dataId, { holders: 1, free: this.meter.buffer?.(bytes) ?? (() => undefined) });
    return { dataId, shape: [...shape], dtype };
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const made = this.make({ shape, dtype });
    this.meter.values?.(made, values);
    return made.dataId;
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
    throw new TypeError('shapes alone are known here: no tensor has values to be read.');
  }
  override read = async (): Promise<never> => this.readSync();
}

const kernelOf =
  (name: string, rule: Rule<never, never>): tf.KernelFunc =>
  ({ inputs, attrs, backend }) => {
    const shapes = backend as ShapesBackend;
    const { output, multiplyAdds = 0, shares } = rule(inputs as never, attrs as never);
    shapes.meter.multiplyAdds?.(multiplyAdds);
    const made = Array.isArray(output)
      ? output.map((each: Output) => shapes.make(each))
      : shapes.make(output as Output, shares);
    shapes.meter.kernel?.({ name, inputs, attrs, outputs: [made].flat() });
    return made;
  };

/**
 * Runs `body` while a backend of shapes alone is the current one, then makes the one before it current again. `body` must
 * not return a promise.
 * @throws Error on an operation whose shapes are not known, by its name; TypeError where values are read.
 */
export function onShapes<T>(meter: Meter, body: (make: (output: Output) => tf.Tensor) => T, known: Rules = rules): T {
  const before: string | undefined = tf.getBackend();
  if (before === NAME) throw new Error('what runs on shapes alone calls what does so again, such as `describe`.');
  // Throws where that backend is still being set up.
  if (before) tf.backend();
  const backend = new ShapesBackend(meter);
  for (const [kernelName, rule] of Object.entries(known))
    tf.registerKernel({ kernelName, backendName: NAME, kernelFunc: kernelOf(kernelName, rule) });
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
    for (const kernelName of Object.keys(known)) tf.unregisterKernel(kernelName, NAME);
  }
}

/**
 * Runs `body` on a backend of shapes alone, and tells `tracer` of every kernel and of every tensor that is made of values. This project's own
 * kernels are not there, so what would use one is composed of TensorFlow.js' operations.
 * @param body gets a function that makes a tensor without values. It must not return a promise.
 * @throws Error on an operation whose shapes are not known, by its name; TypeError where values are read.
 */
export const traceKernels = <T>(
  tracer: Required<Pick<Meter, 'kernel' | 'values'>>,
  body: (make: (output: Output) => tf.Tensor) => T,
): T => onShapes(tracer, body, sharedRules);

function named(error: unknown): unknown {
  const name = error instanceof Error && /^Kernel '(.*)' not registered for backend/.exec(error.message)?.[1];
  if (!name) return error;
  return new Error(`the module uses the operation "${name}", whose shapes are not known; leave it out.`, {
    cause: error,
  });
}
