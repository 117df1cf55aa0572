import { checkInteger, checkWithin, PHILOX_NORMAL, type PhiloxNormalAttrs } from '@logsnr/core';
import { PHILOX_UNIFORM, type PhiloxUniformAttrs } from '@logsnr/nn';
import { getKernel, type KernelFunc, registerKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Binding, NativeBackend, OpAttr } from './native.js';

// Numbers of TensorFlow's DataType and of its Algorithm enumeration that the binding does not name.
const UINT64 = 23;
const PHILOX = 1;

/**
 * Registers the keyed random kernels for the native backend: TensorFlow's `StatelessRandomNormalV2` and
 * `StatelessRandomUniformV2` with algorithm 1, Philox4x32-10. The key is one uint64 and the counter two, each passed as a
 * bit cast of int32 words.
 */
export function registerPhilox(): void {
  register(PHILOX_NORMAL, 'StatelessRandomNormalV2', ({ words: [low, high], counter }: PhiloxNormalAttrs, check) => {
    check('counter', counter, Number.MAX_SAFE_INTEGER);
    check('words[0]', low, 2 ** 32 - 1);
    check('words[1]', high, 2 ** 32 - 1);
    return { key: [low, high], counter: [counter % 2 ** 32, Math.floor(counter / 2 ** 32), 0, 0] };
  });
  register(PHILOX_UNIFORM, 'StatelessRandomUniformV2', ({ stream }: PhiloxUniformAttrs, check) => {
    check('stream', stream, 2 ** 32 - 1);
    return { counter: [0, 0, stream, 0] };
  });
}

interface Draw {
  /** The key's words, unless it is an input. */
  key?: readonly number[];
  counter: readonly number[];
}

/** Throws a RangeError unless `value` is an integer of at most `most`. */
type Check = (name: string, value: number, most: number) => void;

function register<A extends { samples: number; blocks: number }>(
  kernelName: string,
  operation: string,
  drawOf: (attrs: A, check: Check) => Draw,
): void {
  if (getKernel(kernelName, 'tensorflow')) return;
  const check: Check = (name, value, most) => {
    checkInteger(`${kernelName}: ${name}`, value);
    checkWithin(`${kernelName}: ${name}`, value, 0, most);
  };
  const kernelFunc: KernelFunc = ({ inputs, attrs, backend }) => {
    const native = backend as NativeBackend;
    const { binding } = native;
    const { samples, blocks } = attrs as unknown as A;
    check('samples', samples, 2 ** 31 - 1);
    check('blocks', blocks, 2 ** 29 - 1);
    const draw = drawOf(attrs as unknown as A, check);
    const owned: number[] = [];
    const own = (id: number): number => {
      owned.push(id);
      return id;
    };
    const run = (name: string, attrs: OpAttr[], ids: number[]) =>
      (binding.executeOp(name, attrs, ids, 1) as [ReturnType<Binding['executeOp']>[number]])[0];
    const type = (name: string, value: number): OpAttr => ({ name, type: binding.TF_ATTR_TYPE, value });
    const ints = (shape: number[], values: readonly number[]) =>
      own(
        binding.createTensor(
          shape,
          binding.TF_INT32,
          Int32Array.from(values, (value) => value | 0),
        ),
      );
    const uint64 = (pairs: number) =>
      own(run('Bitcast', [type('T', binding.TF_INT32), type('type', UINT64)], [pairs]).id);
    const int32 = binding.TF_INT32;
    // One key of two words: [2] → [1, 2], which the cast makes one number of.
    const given = () => {
      const key = inputs.key as TensorInfo;
      if (key.dtype !== 'int32' || key.shape.length !== 1 || key.shape[0] !== 2)
        throw new RangeError(`${kernelName}: key is ${key.dtype} [${key.shape.join(', ')}]; it must be int32 [2].`);
      const ids = [...native.getInputTensorIds([key]), ints([2], [1, 2])];
      return own(run('Reshape', [type('T', int32), type('Tshape', int32)], ids).id);
    };
    try {
      const ids = [
        ints([2], [samples, 4 * blocks]),
        uint64(draw.key ? ints([1, 2], draw.key) : given()),
        uint64(ints([2, 2], draw.counter)),
        ints([], [PHILOX]),
      ];
      return native.createOutputTensor(
        run(operation, [type('dtype', binding.TF_FLOAT), type('Tshape', binding.TF_INT32)], ids),
      );
    } finally {
      for (const id of owned) binding.deleteTensor(id);
    }
  };
  registerKernel({ kernelName, backendName: 'tensorflow', kernelFunc });
}
