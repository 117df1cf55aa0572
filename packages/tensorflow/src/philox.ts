import { PHILOX_NORMAL, type PhiloxNormalAttrs } from '@logsnr/core';
import { getKernel, type KernelFunc, registerKernel } from '@tensorflow/tfjs-core';
import type { NativeBackend } from './native.js';

// Numbers of TensorFlow's DataType and of its Algorithm enumeration that the binding does not name.
const UINT64 = 23;
const PHILOX = 1;

/**
 * Registers core's keyed-noise kernel for the native backend: TensorFlow's `StatelessRandomNormalV2` with algorithm 1,
 * Philox4x32-10. Its key is one uint64 and its counter two, each passed as a bit cast of int32 words.
 */
export function registerPhilox(): void {
  if (getKernel(PHILOX_NORMAL, 'tensorflow')) return;
  const kernelFunc: KernelFunc = ({ attrs, backend }) => {
    const { words, counter, samples, blocks } = attrs as unknown as PhiloxNormalAttrs;
    const { binding } = backend as NativeBackend;
    const type = (name: string, value: number) => ({ name, type: binding.TF_ATTR_TYPE, value });
    const owned: number[] = [];
    const own = (id: number): number => {
      owned.push(id);
      return id;
    };
    const ints = (shape: number[], ...values: number[]) =>
      own(
        binding.createTensor(
          shape,
          binding.TF_INT32,
          Int32Array.from(values, (value) => value | 0),
        ),
      );
    const uint64 = (...halves: number[]) => {
      const [cast] = binding.executeOp(
        'Bitcast',
        [type('T', binding.TF_INT32), type('type', UINT64)],
        [ints([halves.length / 2, 2], ...halves)],
        1,
      );
      return own((cast as { id: number }).id);
    };
    try {
      const [noise] = binding.executeOp(
        'StatelessRandomNormalV2',
        [type('dtype', binding.TF_FLOAT), type('Tshape', binding.TF_INT32)],
        [
          ints([2], samples, blocks * 4),
          uint64(...words),
          uint64(counter % 2 ** 32, Math.floor(counter / 2 ** 32), 0, 0),
          ints([], PHILOX),
        ],
        1,
      );
      return (backend as NativeBackend).createOutputTensor(noise as NonNullable<typeof noise>);
    } finally {
      for (const id of owned) binding.deleteTensor(id);
    }
  };
  registerKernel({ kernelName: PHILOX_NORMAL, backendName: 'tensorflow', kernelFunc });
}
